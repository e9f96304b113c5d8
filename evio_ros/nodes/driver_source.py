"""What a driver plays: a recording, a camera, a simulated scene, or another driver's packets."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node

from evio_ros.errors import EvioError, ParameterError
from evio_ros.events import EventWindow
from evio_ros.nodes.driver_parameters import DriverParameters
from evio_ros.nodes.packet_topic import TOPIC_SCHEME, PacketRelay
from evio_ros.playback.live import Player, player_of
from evio_ros.playback.replay import ReplayParameters
from evio_ros.playback.simulated_recording import played_path
from evio_ros.sources.cameras.camera import Camera
from evio_ros.sources.cameras.camera_device import CameraParameters
from evio_ros.sources.readers.recording import Recording
from evio_ros.sources.registry import open_source

__all__ = ["open_driver_source"]


def open_driver_source(
    node: Node,
    chosen: DriverParameters,
    replay: ReplayParameters,
    camera: CameraParameters,
    emit: Callable[[EventWindow, bool], None],
    ended: Callable[[Exception | None], None],
) -> tuple[Recording | Camera | PacketRelay, Player]:
    """Open a driver's source.

    Args:
        node: the driver; it logs how far a scene is simulated, and how a recording was taken.
        chosen, replay, camera: its parameters.
        emit: called with each window, and whether sensor time starts afresh with it.
        ended: called at the end, with the error if it failed.

    Returns:
        The source, for its counters, and what passes its windows on.

    Raises:
        SourceError: if the source cannot be opened.
        ParameterError: if a parameter does not fit the source.
    """
    if chosen.source.startswith(TOPIC_SCHEME):
        topic = chosen.source.removeprefix(TOPIC_SCHEME)
        relay = PacketRelay(node, topic, replay, emit)
        return relay, relay

    def tell(done_us: int) -> None:
        if not node.context.ok():
            raise KeyboardInterrupt  # in a thread that no signal interrupts
        seconds = 1e-6 * done_us
        node.get_logger().info(f"{seconds:.1f} s are simulated", throttle_duration_sec=2.0)

    source = open_source(played_path(chosen.source, tell), size=chosen.size, camera=camera)
    if isinstance(source, Recording):
        for remark in source.remarks:
            node.get_logger().warning(f"{source.path}: {remark}")
    try:
        return source, player_of(source, replay, emit, ended)
    except ParameterError as error:
        source.close()
        raise ParameterError(f"replay.{error}") from None
    except EvioError:
        source.close()
        raise
