"""Running one node as a process: start, errors, Ctrl-C, exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Protocol

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from evio_ros.errors import EvioError

__all__ = ["ClosableNode", "run_node"]

EXIT_ERROR = 2


class ClosableNode(Protocol):
    """A node that releases what it holds."""

    def close(self) -> None:
        """Release threads, files and devices; called once, before the node is destroyed."""


def run_node(make: Callable[[], Node]) -> None:
    """Make a node, spin it until it ends or is interrupted, and exit the process.

    Exit code 0 after the end, Ctrl-C or SIGTERM; 2 where the node cannot start or fails for a
    reason that a user can mend.
    """
    rclpy.init(args=sys.argv)
    sys.exit(_run(make))


def _run(make: Callable[[], Node]) -> int:
    node = None
    try:
        node = make()
        rclpy.spin(node)
    except EvioError as error:
        print(f"{sys.argv[0].rsplit('/', 1)[-1]}: {error}", file=sys.stderr)
        return EXIT_ERROR
    except (KeyboardInterrupt, ExternalShutdownException, SystemExit):
        pass
    finally:
        # Ctrl-C reaches a node twice, from the terminal and from launch: let the clean-up finish.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if node is not None:
            node.close()  # type: ignore[attr-defined]
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
