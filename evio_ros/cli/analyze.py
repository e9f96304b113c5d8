"""`evio analyze`: measure every rotor in a recording."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evio_ros.cli.detector_options import Settings, detector_settings
from evio_ros.cli.outputs import check_results
from evio_ros.cli.section import (
    Duration,
    Region,
    Size,
    Start,
    TimeUnit,
    microseconds,
    region_of,
    section_of,
    size_of,
)
from evio_ros.errors import ParameterError

if TYPE_CHECKING:
    from evio_ros.cli.measurement_summary import MeasurementSummary
    from evio_ros.estimate import Measurement
    from evio_ros.rotation.classical.detector import ClassicalDetectorParameters
    from evio_ros.rotation.detector_parameters import DetectorSettings
    from evio_ros.sources.base import SeekableSource

__all__ = ["analyze"]

_PHASE = "phase"


def analyze(
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="RECORDINGS",
            help="The recording to measure; several with --out.",
            show_default=False,
        ),
    ],
    window_ms: Annotated[float, typer.Option(help="Length of the measured window.")] = 100.0,
    step_ms: Annotated[
        float | None,
        typer.Option(
            help="Time between two results; the window is a whole number of steps.",
            show_default="an even part of the window, 50 or less",
        ),
    ] = None,
    start: Start = 0.0,
    duration: Duration = None,
    roi: Region = None,
    size: Size = None,
    time_unit: TimeUnit = None,
    method: Annotated[
        str,
        typer.Option(
            help="phase, the method of this package, or for comparison a classical one: welch, "
            "autocorrelation or period_filter, which do not determine the sense of rotation."
        ),
    ] = _PHASE,
    blades: Annotated[
        int,
        typer.Option(
            help="Blades of a rotor, for the classical methods; 0 reports the blade-pass rate."
        ),
    ] = 0,
    settings: Settings = None,
    causal: Annotated[
        bool,
        typer.Option(
            "--causal",
            help="Report what a live camera would: do not look back at windows before a "
            "rotor was found.",
        ),
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Print why no rotor was found, for each place that was searched."
        ),
    ] = False,
    json_path: Annotated[
        str | None,
        typer.Option(
            "--json", metavar="FILE|-", help="Write JSON lines, one for each window and rotor."
        ),
    ] = None,
    csv_path: Annotated[
        str | None, typer.Option("--csv", metavar="FILE|-", help="Write the same as a CSV table.")
    ] = None,
    plot_path: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE.png",
            help="Draw the rotors, their last turns, and speed over time.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write JSON lines for each recording and a table of all of them; results of an "
            "earlier run with the same content and options are kept.",
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="With --out, number of recordings measured in parallel.")
    ] = 1,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="With --out, address of the Dask scheduler that runs the measurements.",
        ),
    ] = None,
) -> None:
    """Measure speed, phase and blades of every rotor in RECORDINGS.

    Rotors are found automatically. A summary is printed; --json, --csv and --plot save the details
    of one recording, --out those of many.

    Example: evio analyze fan.raw --window-ms 20 --plot fan.png --json fan.jsonl
    """
    from evio_ros.cli.measurement_summary import MeasurementSummary
    from evio_ros.cli.progress import progress_bar
    from evio_ros.pipeline import measure_source
    from evio_ros.sources.base import refuse_impossible_size
    from evio_ros.sources.registry import open_recording
    from evio_ros.sources.source_remarks import remarks_of

    parameters = _parameters(window_ms, step_ms, method, blades, settings or [])
    if explain and method != _PHASE:
        raise ParameterError(f"--explain: {method} has no explanations; use --method {_PHASE}")
    if out is not None:
        from evio_ros.cli.analyze_many import analyze_many
        from evio_ros.cli.recording_job import AnalysisOptions

        if explain:
            raise ParameterError(
                "--explain: not available with --out; analyze one recording at a time"
            )
        if (json_path, csv_path, plot_path) != (None, None, None):
            raise ParameterError(
                "--out: writes a file for each recording; cannot be combined with --json, "
                "--csv or --plot"
            )
        options = AnalysisOptions(
            parameters, start, duration, roi, size_of(size), time_unit, not causal
        )
        analyze_many(recordings, out, options, jobs, dask)
        return
    recording = _single_recording(recordings, jobs, dask)
    name = Path(recording).name
    with ExitStack() as stack:
        source = stack.enter_context(
            open_recording(recording, size=size_of(size), time_unit=time_unit)
        )
        refuse_impossible_size(source)
        check_results([json_path, csv_path, plot_path], [source.path])
        start_us, end_us = _span(source, start, duration, parameters)
        region = region_of(roi, source.size)
        summary = MeasurementSummary(source.size, keep_picture=plot_path is not None)
        sinks = [summary.add, *_open_files(stack, json_path, csv_path)]
        draw = _open_plot(stack, plot_path)
        advance = stack.enter_context(progress_bar(name, end_us - start_us))
        measurements = measure_source(
            source, parameters, start_us, end_us, region, look_back=not causal
        )
        for measurement in measurements:
            for sink in sinks:
                sink(measurement)
            advance(measurement.t_us - start_us)
        if draw is not None:
            draw(summary, name)
    output = sys.stderr if "-" in (json_path, csv_path) else sys.stdout
    summary.print(remarks_of(source), output, explain)


def _single_recording(recordings: Sequence[str], jobs: int, dask: str | None) -> str:
    if len(recordings) > 1 or jobs > 1 or dask is not None:
        raise ParameterError(
            "--out: missing; several recordings, --jobs and --dask need a folder for the results"
        )
    return recordings[0]


def _open_files(
    stack: ExitStack, json_path: str | None, csv_path: str | None
) -> list[Callable[[Measurement], None]]:
    from evio_ros.measurement_files import open_csv, open_json_lines

    sinks = []
    if json_path is not None:
        sinks.append(stack.enter_context(open_json_lines(json_path)))
    if csv_path is not None:
        sinks.append(stack.enter_context(open_csv(csv_path)))
    return sinks


def _open_plot(
    stack: ExitStack, plot_path: Path | None
) -> Callable[[MeasurementSummary, str], None] | None:
    if plot_path is None:
        return None
    from evio_ros.cli.measurement_plot import open_plot

    return stack.enter_context(open_plot(plot_path))


def _parameters(
    window_ms: float, step_ms: float | None, method: str, blades: int, settings: Sequence[str]
) -> DetectorSettings | ClassicalDetectorParameters:
    from evio_ros.rotation.classical.detector import ClassicalDetectorParameters
    from evio_ros.rotation.classical.registry import CLASSICAL_METHODS
    from evio_ros.rotation.window_parameters import window_and_step

    if method != _PHASE and method not in CLASSICAL_METHODS:
        known = ", ".join((_PHASE, *CLASSICAL_METHODS))
        raise ParameterError(f"--method: {method!r} is not one of {known}")
    if blades and method == _PHASE:
        raise ParameterError(
            "--blades: only for the classical methods; phase counts the blades itself"
        )
    window_us = microseconds("--window-ms", window_ms, "ms")
    if step_ms is None:
        window_us, step_us = window_and_step(window_us)
    else:
        step_us = microseconds("--step-ms", step_ms, "ms")
    if method == _PHASE:
        return detector_settings(window_us, step_us, settings)
    if settings:
        raise ParameterError(f"--set: {method} has no such parameters; use --method {_PHASE}")
    return ClassicalDetectorParameters(
        method=method, blades=blades, window_us=window_us, step_us=step_us
    )


def _span(
    source: SeekableSource,
    start: float,
    duration: float | None,
    parameters: DetectorSettings | ClassicalDetectorParameters,
) -> tuple[int, int]:
    """Sensor times of the start and the end of the part to measure, in µs.

    Raises:
        ParameterError: if the part is shorter than a window.
    """
    start_us, end_us = section_of(source, start, duration)
    if end_us - start_us < parameters.window_us:
        raise ParameterError(
            f"--window-ms: {parameters.window_us * 1e-3:g} ms is longer than the "
            f"{(end_us - start_us) * 1e-3:g} ms to measure; use a shorter window, but note "
            "that finding a rotor takes 250 ms"
        )
    return start_us, end_us
