"""`evio view`: the dashboard for a recording or camera, without ROS."""

from __future__ import annotations

import os
import secrets
import sys
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evio_ros.cli.detector_options import Settings, detector_settings
from evio_ros.cli.recording_remarks import print_remarks
from evio_ros.cli.section import Size, Start, TimeUnit, microseconds, size_of
from evio_ros.errors import EvioError, ParameterError

if TYPE_CHECKING:
    from evio_ros.events import SensorSize
    from evio_ros.sources.cameras.camera import Camera
    from evio_ros.sources.readers.recording import Recording
    from evio_ros.web.web_parameters import WebParameters

__all__ = ["view"]

_TOKEN_BYTES = 16
_POLL_S = 0.5


def view(
    recording: Annotated[
        str,
        typer.Argument(
            metavar="RECORDING",
            help="The recording to show, camera:MODEL or scene:NAME.",
            show_default=False,
        ),
    ],
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 for any free one.", min=0, max=65535)
    ] = 8088,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on; any other than this machine's own requires a token."
        ),
    ] = "127.0.0.1",
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File with the token, if one is required.",
            show_default="a new one, which is printed",
        ),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")
    ] = True,
    window_ms: Annotated[float, typer.Option(help="Length of the measured window.")] = 100.0,
    settings: Settings = None,
    rate: Annotated[
        float,
        typer.Option(help="Speed of the replay; 0 for as fast as it can be measured.", min=0.0),
    ] = 1.0,
    start: Start = 0.0,
    size: Size = None,
    time_unit: TimeUnit = None,
    loop: Annotated[bool, typer.Option("--loop", help="Restart at the end.")] = False,
    paused: Annotated[bool, typer.Option("--paused", help="Start paused.")] = False,
) -> None:
    """Show RECORDING in a browser while it is measured: events, rotors, speeds, spectra.

    The page is the dashboard node's, and needs no network. Ctrl-C ends it.

    Example: evio view scene:drone_idle --rate 0.5
    """
    from evio_ros.playback.replay import ReplayParameters
    from evio_ros.rotation.window_parameters import window_and_step
    from evio_ros.sources.readers.recording import Recording

    parameters, token = _web_parameters(host, port, token_file)
    window_us, step_us = window_and_step(microseconds("--window-ms", window_ms, "ms"))
    detector = detector_settings(window_us, step_us, settings or [])
    start_us = microseconds("--start", start, "s")
    replay = ReplayParameters(rate=float(rate), loop=loop, start_us=start_us)
    try:
        from evio_ros.web.dashboard_app import create_dashboard
        from evio_ros.web.recording_source import RecordingSource
        from evio_ros.web.web_server import WebServer
    except ImportError as error:
        raise EvioError(f"the page needs {error.name}: pip install 'evio_ros[web]'") from None

    with _opened(recording, size_of(size), time_unit) as source:
        shown = RecordingSource(source, recording, detector, replay)
        server = WebServer(create_dashboard(shown, parameters), parameters)
        try:
            server.start()
            if paused:
                shown.pause(True)
            shown.start()
            address = f"{server.address}?token={token}" if token else server.address
            typer.echo(f"{recording} is shown at {address}; Ctrl-C ends it", err=True)
            if isinstance(source, Recording):
                print_remarks(source)
            if browser and _has_screen():
                webbrowser.open(address)
            ended = threading.Event()
            while not ended.wait(_POLL_S):  # until a signal raises
                pass
        finally:
            shown.close()
            server.close()


def _has_screen() -> bool:
    """Whether a browser has a screen to open on; a text browser would take over the terminal."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    return not sys.platform.startswith("linux") or any(map(os.environ.get, screens))


def _web_parameters(host: str, port: int, token_file: Path | None) -> tuple[WebParameters, str]:
    """Address and token of the server; the token is "" if a browser needs none."""
    from evio_ros.web.web_parameters import WebParameters

    if token_file is not None:
        parameters = WebParameters(host=host, port=port, token_file=str(token_file))
        return parameters, parameters.secret()
    try:
        return WebParameters(host=host, port=port), ""
    except ParameterError:
        token = secrets.token_hex(_TOKEN_BYTES)
        return WebParameters(host=host, port=port, token=token), token


def _opened(recording: str, size: SensorSize | None, time_unit: str | None) -> Recording | Camera:
    """The source; a scene is simulated first."""
    from evio_ros.playback.simulated_recording import played_path
    from evio_ros.sources.registry import open_source

    return open_source(played_path(recording), size=size, time_unit=time_unit)
