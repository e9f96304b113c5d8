"""Running nodes as child processes, which end with the program that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Self

from evio_ros.ros.share import use_dds_profile

__all__ = ["NodeProcess"]

_PR_SET_PDEATHSIG = 1
_GRACE_S = 5.0


class NodeProcess:
    """A node of this package in its own process; a context manager.

    Args:
        name: name of its module in `evio_ros.nodes`.
        parameters: ROS parameters, by full name.
        arguments: further ROS arguments, e.g. ("--params-file", "evio.yaml").
        namespace: namespace of the node, "" for none.
        environment: environment; None for that of this process. The Fast DDS profile of the package
            is used unless the environment names another.
    """

    def __init__(
        self,
        name: str,
        parameters: Mapping[str, object] | None = None,
        arguments: Sequence[str] = (),
        namespace: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        command = [sys.executable, "-m", f"evio_ros.nodes.{name}", "--ros-args", *arguments]
        for key, value in (parameters or {}).items():
            command += ["-p", f"{key}:={_literal(value)}"]
        if namespace:
            command += ["-r", f"__ns:=/{namespace.strip('/')}"]
        chosen = dict(os.environ if environment is None else environment)
        use_dds_profile(chosen)
        # A file, not a pipe: a full pipe that nobody reads would stop the node.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self._process = subprocess.Popen(
            command,
            env=chosen,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            # Ctrl-C goes to the program, which then stops its nodes in order.
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )

    @property
    def exit_code(self) -> int | None:
        """Exit code; None while the node runs."""
        return self._process.poll()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def output(self) -> str:
        """Everything that the node has printed."""
        self._output.seek(0)
        return self._output.read().decode(errors="replace").strip()

    def send_signal(self, number: int) -> None:
        """Send a signal to the node."""
        self._process.send_signal(number)

    def wait(self, timeout_s: float) -> int:
        """Wait for the end; returns the exit code.

        Raises:
            subprocess.TimeoutExpired: if the node still runs.
        """
        return self._process.wait(timeout_s)

    def stop(self) -> None:
        """Interrupt the node, and kill it if it does not end; may be called twice."""
        for number in (signal.SIGINT, signal.SIGKILL):
            if self._process.poll() is None:
                self._process.send_signal(number)
                try:
                    self._process.wait(_GRACE_S)
                except subprocess.TimeoutExpired:
                    continue

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._output.close()


def _literal(value: object) -> str:
    """A value in the syntax of ROS arguments; quoted strings stay strings."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
