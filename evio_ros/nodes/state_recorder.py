"""The state recorder: rotation states in, a CSV table or a bag out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rclpy.serialization import serialize_message
from rclpy.time import Time
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from evio_ros.errors import EvioError, ParameterError, reason_of
from evio_ros.estimate import Measurement
from evio_ros.measurement_files import open_csv
from evio_ros.msg import RotationStateArray
from evio_ros.parameters import Parameters, parameter
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.diagnostics import Report
from evio_ros.ros.lost_messages import LostMessages
from evio_ros.ros.process import run_node
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.ros.rotation_messages import estimate_of
from evio_ros.ros.share import share_file

__all__ = ["StateRecorder", "main"]

_TOPIC = "rotation_states"
_TYPES = ("Blade", "RotationState", "RotationStateArray")
_DEPTH = 10_000
"""States that wait while a disk is slow."""

_Sink = Callable[[RotationStateArray], None]


@dataclass(frozen=True)
class _RecorderParameters(Parameters):
    """Where the states are kept."""

    output: str = parameter(
        "",
        read_only=True,
        doc="Output: a table if the name ends in .csv, else a bag of rotation_states.",
    )

    def check_together(self) -> None:
        """Check that there is an output."""
        if not self.output:
            raise ParameterError("output: name a file, e.g. -p output:=states.csv")


class StateRecorder(EvioNode):
    """Writes every message of `rotation_states` to a file, which is complete when the node ends."""

    TASK = "recording"
    INPUT = "rotation states"
    PARAMETERS: ClassVar[Mapping[str, type[Parameters]]] = {"": _RecorderParameters}

    def __init__(self) -> None:
        super().__init__("state_recorder")
        self._windows = 0
        self._lost = LostMessages(lambda: self.count_publishers(_TOPIC))
        self._end_us: int | None = None
        self._last_s = 0.0
        self._output = self.parameters.get(_RecorderParameters).output
        self._open = ExitStack()
        self._write: _Sink | None = None

    def configure(self) -> None:
        """Open the file."""
        make = _csv if self._output.lower().endswith(".csv") else _bag
        self._write = self._open.enter_context(make(Path(self._output)))

    def activate(self) -> None:
        """Begin to write."""
        quality = results_quality()
        quality.depth = _DEPTH
        self.create_subscription(RotationStateArray, _TOPIC, self._take, quality)

    def cleanup(self) -> None:
        """Complete the file."""
        was_open, self._write = self._write is not None, None
        self._open.close()
        if was_open:
            self.get_logger().info(self._summary)

    def last_input_s(self) -> float | None:
        """When states last came."""
        return self._last_s

    def report(self) -> Report:
        """How much has been written."""
        return Report(
            self._summary,
            {"windows": self._windows, "messages_lost": self._lost.count},
            warning=bool(self._lost.count),
        )

    @property
    def _summary(self) -> str:
        text = f"{self._windows} windows in {self._output}"
        lost = self._lost.count
        return f"{text}; {lost} messages were lost before they could be written" if lost else text

    def _take(self, message: RotationStateArray, info: Mapping[str, Any]) -> None:
        self._last_s = time.monotonic()
        self._lost.note(info)
        if message.window_end == self._end_us or self._write is None:
            return  # the detector is silent: fusion says so, and no window has passed
        self._end_us = message.window_end
        self._windows += 1
        try:
            self._write(message)
        except EvioError as error:
            self.finish(error)


@contextmanager
def _csv(path: Path) -> Iterator[_Sink]:
    """Open a table as that of `evio analyze --csv`."""
    with open_csv(path) as write:

        def take(message: RotationStateArray) -> None:
            rotors = [estimate_of(state) for state in message.states]
            write(Measurement(message.window_end, message.window_length, None, rotors))

        yield take


@contextmanager
def _bag(path: Path) -> Iterator[_Sink]:
    """Open a bag in MCAP storage; stamps are those of the messages."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name in _TYPES:
        definition = share_file(f"msg/{name}.msg").read_text(encoding="utf-8")
        store.register(get_types_from_msg(definition, f"evio_ros/msg/{name}"))
    with _told(path), Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as bag:
        connection = bag.add_connection(
            f"/{_TOPIC}", "evio_ros/msg/RotationStateArray", typestore=store
        )

        def take(message: RotationStateArray) -> None:
            stamp_ns = Time.from_msg(message.header.stamp).nanoseconds
            with _told(path):
                bag.write(connection, stamp_ns, bytes(serialize_message(message)))

        yield take


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn errors of a bag into one line."""
    try:
        yield
    except (OSError, WriterError) as error:
        raise EvioError(f"{path}: cannot be written: {reason_of(error)}") from None


def main() -> None:
    """Run the node."""
    run_node(StateRecorder)


if __name__ == "__main__":
    main()
