"""The driver's services pause, seek and restart, and the replay's values for its report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from evio_ros.errors import ParameterError
from evio_ros.playback.live import Player
from evio_ros.sources.base import SeekableSource
from evio_ros.srv import Seek

__all__ = ["playback_values", "serve_playback"]


def serve_playback(node: Node, player: Player) -> None:
    """Offer `~/pause`, `~/seek` and `~/restart` of a player."""

    def pause(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        player.pause(request.data)
        response.success = True
        response.message = "paused" if request.data else "playing"
        return response

    def seek(request: Seek.Request, response: Seek.Response) -> Seek.Response:
        return _try(lambda: player.seek(request.t), f"at {request.t} us", response)

    def restart(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return _try(player.restart, "at the beginning", response)

    node.create_service(SetBool, "~/pause", pause)
    node.create_service(Seek, "~/seek", seek)
    node.create_service(Trigger, "~/restart", restart)


def playback_values(player: Player, source: object, rate: float) -> dict[str, object]:
    """Position and speed of a replay, as values of a report.

    Args:
        player: what passes on the source's windows.
        source: what is played; only recordings have a length and a speed.
        rate: speed of the replay.
    """
    values: dict[str, object] = {
        "paused": player.paused,
        "behind_s": round(player.behind_s, 3),
        "position_s": round(1e-6 * player.position_us, 6),
    }
    if isinstance(source, SeekableSource):
        values["duration_s"] = round(1e-6 * (source.end_us - source.start_us), 6)
        values["rate"] = rate
    return values


def _try(action: Callable[[], None], done: str, response: Any) -> Any:
    """Run an action, and report the result in a service's response."""
    try:
        action()
    except ParameterError as error:
        response.success, response.message = False, str(error)
    else:
        response.success, response.message = True, done
    return response
