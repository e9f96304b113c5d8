"""Running one node as a process: start, errors, Ctrl-C, exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions, install_signal_handlers

from evio_ros.errors import EvioError
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.parameters_file import parameters_files, read_parameters_file
from evio_ros.ros.signal_watch import STARTED_AGAIN, ended_by_signals, ignore_signals

__all__ = ["closed_code", "complain", "other_ports", "run_node", "start_ros"]

_EXIT_ERROR = 2
"""Exit code of a node that cannot start or continue for a reason that a user can correct."""


def run_node(make: Callable[[], EvioNode]) -> None:
    """Make a node, spin it until it has done its work or is interrupted, and exit the process.

    Exit code 0 after the end, Ctrl-C or SIGTERM; 2 if the node cannot start or fails for a
    reason that a user can correct.
    """
    with ended_by_signals():
        code = _run(make)
    sys.exit(code)


def start_ros() -> None:
    """Let rclpy read the command line.

    Raises:
        EvioError: if that fails, in one line.
    """
    # While a node is made, which may compile for long, a signal interrupts Python at once; rclpy
    # would only take note of it.
    for number in (signal.SIGINT, signal.SIGTERM):
        # SIGINT too: a shell has those that it starts in the background ignore it.
        signal.signal(number, signal.default_int_handler)
    for path in parameters_files(sys.argv):
        read_parameters_file(path)
    try:
        rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # rclpy raises errors of its C library, which have no common type
        raise EvioError(_first_line(error)) from None


@contextmanager
def other_ports() -> Iterator[None]:
    """Within this context, nodes use other ports than a process that crashed before.

    A process gets the ports of one that was killed. Others, which hold that one for alive, then
    learn of the topics of the new process only when these are told again, seconds later. Where
    `STARTED_AGAIN` is set, something else takes these ports meanwhile.
    """
    if STARTED_AGAIN not in os.environ:
        yield
        return
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    name = f"_ports_of_{os.getpid()}"
    node = rclpy.create_node(
        name,
        context=context,
        use_global_arguments=False,
        enable_rosout=False,
        start_parameter_services=False,
    )
    try:
        yield
    finally:
        node.destroy_node()
        context.try_shutdown()


def complain(error: EvioError) -> int:
    """Print why a process ends; gives its exit code."""
    print(f"{Path(sys.argv[0]).stem}: {error}", file=sys.stderr)
    return _EXIT_ERROR


def closed_code(node: EvioNode, code: int) -> int:
    """Close and destroy a node; gives the exit code.

    Args:
        node: the node.
        code: exit code so far; if it is 0, errors of closing are printed.
    """
    try:
        node.close()
    except EvioError as error:
        code = code or complain(error)
    node.destroy_node()
    return code


def _run(make: Callable[[], EvioNode]) -> int:
    node = None
    code = 0
    try:
        start_ros()
        with other_ports():
            node = make()
        install_signal_handlers(SignalHandlerOptions.ALL)
        _spin(node)
    except EvioError as error:
        code = complain(error)
    except ParameterException as error:
        code = complain(EvioError(_first_line(error)))
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        ignore_signals()
        if node is not None:
            code = closed_code(node, code)
        rclpy.try_shutdown()
    return code


def _spin(node: EvioNode) -> None:
    """Spin a node until it has done its work; raises the error that it fails with.

    `rclpy.spin_until_future_complete` leaves a callback with the future at every turn, which adds
    up to megabytes a minute.
    """
    with SingleThreadedExecutor() as executor:
        executor.add_node(node)
        # A turn ends with a callback; a thread of the node's own may say that the work is done.
        ended = node.create_guard_condition(lambda: None)
        node.done.add_done_callback(lambda _: ended.trigger())
        while rclpy.ok() and not node.done.done():
            executor.spin_once()
    if node.done.done():
        node.done.result()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
