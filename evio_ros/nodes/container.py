"""Several nodes in one process: `container driver rotation_detector fusion --ros-args ...`.

Each node has its own executor and thread; compiled kernels run in parallel. Events go from
the driver to the others without copying; over DDS they are published for all other subscribers.
"""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Callable

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.utilities import remove_ros_args

from evio_ros.compilation import interrupt_compilation
from evio_ros.errors import EvioError
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.confirmation import unconfirmed_topics
from evio_ros.ros.local_events import compose
from evio_ros.ros.process import closed_code, complain, other_ports, start_ros
from evio_ros.ros.signal_watch import ended_by_signals, ignore_signals

__all__ = ["main"]

_NODES = {
    "driver": ("evio_ros.nodes.driver", "Driver"),
    "rotation_detector": ("evio_ros.nodes.rotation_detector", "RotationDetectorNode"),
    "rvt_detector": ("evio_ros.nodes.rvt_detector", "RvtDetectorNode"),
    "fusion": ("evio_ros.nodes.fusion", "Fusion"),
    "state_recorder": ("evio_ros.nodes.state_recorder", "StateRecorder"),
    "representation": ("evio_ros.nodes.representation", "RepresentationNode"),
}
"""Module and class of every node by its name."""

_POLL_S = 0.05
_LAST_RESULTS_S = 0.3
"""After the end of a recording, how long the results of its last events may be on their way."""


class _SpunNode:
    """A node with an executor in its own thread.

    Attributes:
        node: the node.
        error: the error that ended the executor, None while it runs.
    """

    def __init__(self, node: EvioNode) -> None:
        self.node = node
        self.error: Exception | None = None
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._spin, name=node.get_name(), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Make the thread end after the present callback."""
        self._executor.shutdown()

    def stop(self, code: int) -> int:
        """Wait for the thread's end, and end the node; see `closed_code`."""
        self._thread.join()
        return closed_code(self.node, code)

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except (ExternalShutdownException, KeyboardInterrupt):
            pass
        except Exception as error:
            self.error = error


def _classes(names: list[str]) -> list[Callable[[], EvioNode]]:
    """The nodes' classes; the driver comes first, whatever the order of the names."""
    if not names:
        raise EvioError(f"name the nodes to run: any of {', '.join(_NODES)}")
    for name in names:
        if name not in _NODES:
            raise EvioError(f"{name!r} is not one of {', '.join(_NODES)}")
    return [
        getattr(importlib.import_module(module), kind)
        for name, (module, kind) in _NODES.items()
        if name in names
    ]


def _run(nodes: list[_SpunNode]) -> None:
    """Make and spin nodes until one of them has done its work or fails.

    Args:
        nodes: receives the nodes, which the caller stops.
    """
    names = remove_ros_args(sys.argv)[1:]
    if "driver" in names:
        compose()
    start_ros()
    with other_ports():
        made = [make() for make in _classes(names)]
    for node in made:
        node.companions = [other for other in made if other is not node]
    nodes += [_SpunNode(node) for node in made]
    while True:
        for each in nodes:
            if each.error is not None:
                raise each.error
            if each.node.done.done():
                each.node.done.result()
                time.sleep(_LAST_RESULTS_S)
                _wait_until_confirmed(made, each.node)
                return
        time.sleep(_POLL_S)


def _wait_until_confirmed(nodes: list[EvioNode], done: EvioNode) -> None:
    """Have the last results of all nodes confirmed, in what is left of the time for that."""
    topics = unconfirmed_topics(
        [publisher for node in nodes if node is not done for publisher in node.publishers],
        done.confirm_until_s,
    )
    if topics:
        done.get_logger().warning(f"not confirmed by all subscribers: {', '.join(topics)}")


def _stop(nodes: list[_SpunNode], code: int) -> int:
    """End all nodes; one that is still being configured, which takes long, is interrupted.

    Gives the exit code, `code` unless a node cannot complete its work.
    """
    with interrupt_compilation():
        for each in nodes:
            each.end()
        for each in nodes:
            code = each.stop(code)
    return code


def main() -> None:
    """Run the nodes that the command line names."""
    with ended_by_signals():
        code = _main()
    sys.exit(code)


def _main() -> int:
    nodes: list[_SpunNode] = []
    code = 0
    try:
        _run(nodes)
    except EvioError as error:
        code = complain(error)
    except ParameterException as error:
        code = complain(EvioError(str(error)))
    except KeyboardInterrupt:
        ignore_signals()
        rclpy.try_shutdown()  # nodes at work see that they are to end
    finally:
        ignore_signals()
        code = _stop(nodes, code)
        rclpy.try_shutdown()
    return code


if __name__ == "__main__":
    main()
