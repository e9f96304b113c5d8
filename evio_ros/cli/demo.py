"""`evio demo`: the whole system as ROS 2 nodes over DDS."""

from __future__ import annotations

import importlib
import itertools
import os
import re
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from evio_ros.errors import EvioError, ParameterError, SourceError

if TYPE_CHECKING:
    from rich.console import Console

    from evio_ros.cli.measurement_summary import MeasurementSummary
    from evio_ros.estimate import Measurement
    from evio_ros.events import SensorSize
    from evio_ros.explanation import Explanation
    from evio_ros.ros.node_process import NodeProcess
    from evio_ros.ros.rotation_listener import RotationListener

__all__ = ["demo"]

_LONGEST_S = 3600
_POLL_S = 0.1
_RESULT_TIMEOUT_S = 10.0
"""Maximum wait for a result after the driver has ended."""
_LAST_TIMEOUT_S = 1.0
"""The same for a window that reaches past the end of the recording."""


def demo(
    recording: Annotated[
        str | None,
        typer.Argument(
            metavar="RECORDING", help="The recording to play.", show_default="a simulated fan"
        ),
    ] = None,
    scene: Annotated[
        str, typer.Option(help="The scene to simulate; `evio simulate --list` shows all.")
    ] = "fan_constant",
    duration: Annotated[float, typer.Option(help="Seconds to simulate or to play.")] = 5.0,
    rate: Annotated[
        float, typer.Option(help="Speed of the replay; 0 for as fast as possible.", min=0.0)
    ] = 1.0,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the CSV file and the plot.")
    ] = Path("out"),
    config: Annotated[
        Path | None,
        typer.Option(help="Parameters of the nodes.", show_default="the package's evio.yaml"),
    ] = None,
    namespace: Annotated[
        str,
        typer.Option(
            help="Namespace of the nodes, which separates them from others on the network."
        ),
    ] = "evio_demo",
    web: Annotated[
        bool, typer.Option("--web", help="Replay in a loop, and show it in a browser.")
    ] = False,
    port: Annotated[
        int, typer.Option(help="Port of the page; 0 for any free one.", min=0, max=65535)
    ] = 8088,
) -> None:
    """Measure a simulated fan, or your own RECORDING, with ROS 2 nodes.

    A driver, a rotation detector and a fusion node run as separate processes and communicate over
    DDS. Measured speeds are shown as they arrive, and compared with the truth if it is known. With
    --web, a dashboard node serves a page and an API instead, until Ctrl-C.

    Example: evio demo fan.raw --duration 2
    """
    from rich.console import Console

    _require_ros()
    if not 0 < duration <= _LONGEST_S:
        raise ParameterError(
            f"--duration: {duration:g} s is out of range; must be above 0 and at most {_LONGEST_S}"
        )
    console = Console()
    path = _simulated(scene, duration) if recording is None else Path(recording)
    section = _section(path, duration)
    console.print(f"The nodes publish in the namespace /{namespace}.")
    if web:
        _serve(section, rate, config, namespace, port, console)
    measurements = _play(section, rate, config, namespace, console)
    _report(section, measurements, output, console)


@dataclass(frozen=True, slots=True)
class _Section:
    """The part of a recording that is played, in sensor time."""

    path: Path
    size: SensorSize
    start_us: int
    length_us: int


def _require_ros() -> None:
    try:
        importlib.import_module("evio_ros.ros.rotation_listener")
    except ImportError:
        raise EvioError("evio demo needs ROS 2: run `make demo`, or source ROS 2 first") from None


def _simulated(scene: str, duration: float) -> Path:
    """A simulated recording from the cache, simulated first if necessary."""
    from evio_ros.cli.progress import progress_bar
    from evio_ros.playback.simulated_recording import cached_recording

    with progress_bar(f"simulating {scene}", round(1e6 * duration)) as advance:
        return cached_recording(scene, duration, advance=advance)


def _section(path: Path, duration: float) -> _Section:
    """The beginning of a recording, at most `duration` seconds."""
    from evio_ros.sources.registry import open_recording

    with open_recording(str(path)) as source:
        length_us = min(source.end_us - source.start_us, round(1e6 * duration))
        return _Section(path, source.size, source.start_us, length_us)


def _play(
    section: _Section, rate: float, config: Path | None, namespace: str, console: Console
) -> list[Measurement]:
    """Run the nodes until the recording has been played and measured."""
    from evio_ros.ros.node_process import NodeProcess
    from evio_ros.ros.rotation_listener import RotationListener

    arguments, played = _arguments(config), _driver_parameters(section, rate)
    with ExitStack() as stack:
        listener = stack.enter_context(RotationListener(namespace))
        nodes = [
            stack.enter_context(NodeProcess(name, {}, arguments, namespace))
            for name in ("rotation_detector", "fusion")
        ]
        with console.status("waiting for the nodes; the first start compiles kernels"):
            while not listener.is_connected():
                _raise_failure(nodes)
                time.sleep(_POLL_S)
        driver = stack.enter_context(NodeProcess("driver", played, arguments, namespace))
        measurements = _listen(listener, driver, nodes, section, console)
    if not measurements:
        raise EvioError(
            f"the nodes sent no result within {_RESULT_TIMEOUT_S:g} s after the recording's end"
        )
    return measurements


def _serve(
    section: _Section,
    rate: float,
    config: Path | None,
    namespace: str,
    port: int,
    console: Console,
) -> NoReturn:
    """Replay in a loop with a dashboard, until a signal raises or a node fails."""
    from evio_ros.ros.node_process import NodeProcess

    parameters: dict[str, dict[str, object]] = {
        "dashboard": {"web.port": port},
        "rotation_detector": {},
        "fusion": {},
        "driver": {
            **_driver_parameters(section, rate),
            "replay.loop": True,
            "wait_for": "rotation_detector",
        },
    }
    arguments = _arguments(config)
    address = ""
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(NodeProcess(name, given, arguments, namespace))
            for name, given in parameters.items()
        ]
        while True:
            _raise_failure(nodes)
            if not address:
                found = re.search(r"the dashboard is at (\S+)", nodes[0].output())
                address = found[1] if found else ""
                if address:
                    console.print(f"{section.path.name} is shown at {address}; Ctrl-C ends it")
            time.sleep(_POLL_S)


def _arguments(config: Path | None) -> tuple[str, str]:
    """Command-line arguments for the nodes' parameters file."""
    from evio_ros.ros.share import share_file, use_dds_profile

    use_dds_profile(os.environ)
    return "--params-file", str(share_file("config/evio.yaml") if config is None else config)


def _driver_parameters(section: _Section, rate: float) -> dict[str, object]:
    """The driver's parameters."""
    return {
        "source": str(section.path.resolve()),
        "replay.rate": float(rate),
        "replay.duration_us": section.length_us,
    }


def _listen(
    listener: RotationListener,
    driver: NodeProcess,
    others: list[NodeProcess],
    section: _Section,
    console: Console,
) -> list[Measurement]:
    """Show results until the last window has arrived, or no more arrive."""
    from rich.live import Live

    from evio_ros.cli.demo_table import LiveTable

    table = LiveTable(section.path.name, section.start_us, section.length_us)
    measurements: list[Measurement] = []
    quiet_since_s = time.monotonic()
    with Live(table, console=console, transient=True, refresh_per_second=8):
        while time.monotonic() - quiet_since_s < _timeout_s(measurements, section):
            for measurement in listener.listen(_POLL_S):
                measurements.append(measurement)
                table.show(measurement)
                quiet_since_s = time.monotonic()
            if driver.exit_code is None:
                quiet_since_s = time.monotonic()
            _raise_failure([driver, *others])
    return measurements


def _timeout_s(measurements: list[Measurement], section: _Section) -> float:
    """How long to wait for another window, in s: only shortly once the end is reached."""
    if len(measurements) < 2:
        return _RESULT_TIMEOUT_S
    before, last = measurements[-2:]
    next_us = 2 * last.t_us - before.t_us
    return _LAST_TIMEOUT_S if next_us > section.start_us + section.length_us else _RESULT_TIMEOUT_S


def _raise_failure(nodes: list[NodeProcess]) -> None:
    """Raise EvioError with a node's output if it has failed."""
    for node in nodes:
        if node.exit_code:
            raise EvioError(f"the {node.name} node failed: {node.output()}")


def _report(
    section: _Section, measurements: list[Measurement], output: Path, console: Console
) -> None:
    """Print the result, and write the CSV file and the plot."""
    from evio_ros.cli.demo_table import truth_table
    from evio_ros.cli.measurement_plot import open_plot
    from evio_ros.cli.measurement_summary import MeasurementSummary
    from evio_ros.measurement_files import open_csv
    from evio_ros.simulation.truth import Truth, truth_path

    output.mkdir(parents=True, exist_ok=True)
    csv_path = output / f"{section.path.stem}.csv"
    plot_path = output / f"{section.path.stem}.png"
    summary = MeasurementSummary(section.size, keep_picture=True)
    with open_csv(csv_path) as write, open_plot(plot_path) as draw:
        for measurement in measurements:
            write(measurement)
            summary.add(measurement)
        _add_events(summary, section.path, measurements)
        draw(summary, section.path.name)
    if not summary.rotors:
        summary.explanations = _explanations(section)
    summary.print_rotors(console)
    known = truth_path(section.path)
    if known.exists():
        try:
            console.print(truth_table(Truth.read(known), measurements))
        except SourceError as error:
            # Others may use the same name for their own kind of file.
            console.print(f"Not compared with the truth: {error}", soft_wrap=True)
    missing = _missing_windows(measurements, section.start_us)
    if missing:
        console.print(
            f"{missing} windows are missing: this computer is too slow for the replay; try "
            "--rate 0.5"
        )
    console.print(f"every window: {csv_path}\nthe plot:     {plot_path}")


def _explanations(section: _Section) -> tuple[Explanation, ...]:
    """Why no rotor is found, from the library's own measurement of the same events."""
    from evio_ros.measuring import measure
    from evio_ros.sources.registry import open_recording

    end_us = section.start_us + section.length_us
    with open_recording(str(section.path)) as source:
        measurements = list(measure(source, start_us=section.start_us, end_us=end_us))
    return measurements[-1].explanations if measurements else ()


def _missing_windows(measurements: list[Measurement], start_us: int) -> int:
    """Number of windows that are missing because messages were lost."""
    step_us = _step_us(measurements)
    ends_us = [start_us, *(measurement.t_us for measurement in measurements)]
    return sum(
        max(after - before, step_us) // step_us - 1 for before, after in itertools.pairwise(ends_us)
    )


def _step_us(measurements: list[Measurement]) -> int:
    """Time from one window to the next."""
    ends_us = [measurement.t_us for measurement in measurements]
    gaps_us = [after - before for before, after in itertools.pairwise(ends_us)]
    return min(gaps_us, default=measurements[0].window_us)


def _add_events(summary: MeasurementSummary, path: Path, measurements: list[Measurement]) -> None:
    """Read the measured events again, for the picture."""
    from evio_ros.sources.registry import open_recording
    from evio_ros.windowing import windows

    step_us = _step_us(measurements)
    start_us = measurements[0].t_us - step_us
    rotors = {measurement.t_us: measurement.rotors for measurement in measurements}
    with open_recording(str(path)) as source:
        source.seek(start_us)
        for step in windows(
            source.batches(), source.size, step_us, start_us, measurements[-1].t_us
        ):
            summary.add_events(step, rotors.get(step.end_us, []))
