"""Telling in a node's log that kernels are compiled, which happens once and takes long."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from rclpy.node import Node

from evio_ros.compilation import report_compilation

__all__ = ["compilation_logged"]

_LINE_EVERY_S = 2.0


@contextmanager
def compilation_logged(node: Node) -> Iterator[None]:
    """Write a line now and then while something is compiled."""

    def tell(compiled: int) -> None:
        gc.enable()  # unlike loading kernels, compiling them makes much garbage
        node.get_logger().info(
            f"compiling kernels for the first time, about a minute: {compiled} done",
            throttle_duration_sec=_LINE_EVERY_S,
        )

    with report_compilation(tell):
        yield
