"""Measuring one of many recordings, in any process on any machine."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from evio_ros import __version__
from evio_ros.cli.measurement_summary import MeasurementSummary
from evio_ros.cli.section import region_of, section_of
from evio_ros.errors import EvioError
from evio_ros.events import SensorSize
from evio_ros.measurement_files import json_lines
from evio_ros.pipeline import measure_source
from evio_ros.rotation.classical.detector import ClassicalDetectorParameters
from evio_ros.rotation.detector_parameters import DetectorSettings
from evio_ros.sources.readers.recording import Recording
from evio_ros.sources.registry import open_recording
from evio_ros.sources.source_remarks import remarks_of

__all__ = ["AnalysisOptions", "Outcome", "RecordingJob", "measure_recording"]


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """How each of many recordings is measured; the fields are options of `evio analyze`.

    Attributes:
        parameters: of the detector; their class selects it.
        start_s, duration_s: the part to measure, in s from the recording's start; a duration of
            None means to the end.
        roi: x0, y0, x1, y1 in pixels; None for the whole sensor.
        size: geometry of the sensor; None for that of the recording, or a guess.
        time_unit: unit of times without one; None for a guess.
        look_back: whether windows before a rotor was found are measured too.
    """

    parameters: DetectorSettings | ClassicalDetectorParameters
    start_s: float = 0.0
    duration_s: float | None = None
    roi: tuple[int, int, int, int] | None = None
    size: SensorSize | None = None
    time_unit: str | None = None
    look_back: bool = True

    @property
    def digest(self) -> str:
        """SHA-256 in hex of all options and of this package's version."""
        named = [type(self.parameters).__name__, asdict(self), __version__]
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class RecordingJob:
    """One recording to measure.

    Attributes:
        recording: as for `open_recording`, with an absolute path.
        options: how to measure it.
        known: SHA-256 of the content that has a result for these options; "" if none has.
        version: version of the package that asks; workers with another one would give other
            results.
    """

    recording: str
    options: AnalysisOptions
    known: str = ""
    version: str = __version__


@dataclass(slots=True)
class Outcome:
    """The result of a recording.

    Attributes:
        recording: as in the job.
        content: SHA-256 of the recording in hex; "" if it could not be read.
        lines: the JSON lines of `evio analyze --json`; None if it failed or the result is known.
        windows: number of windows.
        rotors: id, median rpm, its standard deviation, blades and number of windows of each rotor.
        remarks: what was wrong with the recording, one sentence each.
        error: why it failed; "" if it did not.
    """

    recording: str
    content: str = ""
    lines: bytes | None = None
    windows: int = 0
    rotors: list[dict[str, Any]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    error: str = ""


def measure_recording(job: RecordingJob) -> Outcome:
    """Measure a recording unless its result is known.

    Errors are returned in the outcome; only an interruption raises.

    Args:
        job: the recording and how to measure it.
    """
    outcome = Outcome(job.recording)
    if job.version != __version__:
        outcome.error = (
            f"{job.recording}: the worker has evio_ros {__version__}, but {job.version} is needed"
        )
        return outcome
    try:
        size, time_unit = job.options.size, job.options.time_unit
        with open_recording(job.recording, size=size, time_unit=time_unit) as source:
            outcome.content = _content_digest(source.path)
            if outcome.content != job.known:
                _measure(source, job.options, outcome)
    except EvioError as error:
        text = str(error)
        outcome.error = text if job.recording in text else f"{job.recording}: {text}"
    except Exception as error:  # an error of one recording must not stop the others
        outcome.error = f"{job.recording}: {type(error).__name__}: {error}"
    return outcome


def _measure(source: Recording, options: AnalysisOptions, outcome: Outcome) -> None:
    start_us, end_us = section_of(source, options.start_s, options.duration_s)
    region = region_of(options.roi, source.size)
    summary = MeasurementSummary(source.size)
    lines = []
    for measurement in measure_source(
        source, options.parameters, start_us, end_us, region, options.look_back
    ):
        summary.add(measurement)
        lines.append(json_lines(measurement))
    outcome.lines = "".join(lines).encode()
    outcome.windows = summary.windows
    outcome.rotors = list(_rotor_rows(summary))
    outcome.remarks = remarks_of(source)


def _rotor_rows(summary: MeasurementSummary) -> Iterator[dict[str, Any]]:
    for identity, estimates in summary.shown_rotors().items():
        blades = np.bincount([estimate.blade_count for estimate in estimates]).argmax()
        yield {
            "id": identity,
            "rpm": float(np.median([estimate.rpm for estimate in estimates])),
            "rpm_std": float(np.median([estimate.rpm_std for estimate in estimates])),
            "blade_count": int(blades),
            "seen": len(estimates),
        }


def _content_digest(path: str) -> str:
    """SHA-256 of a file, or of the names and contents of all files in a bag's folder."""
    if os.path.isfile(path):
        return _file_digest(Path(path))
    together = hashlib.sha256()
    for file in sorted(each for each in Path(path).rglob("*") if each.is_file()):
        together.update(f"{file.relative_to(path)}\0{_file_digest(file)}\n".encode())
    return together.hexdigest()


def _file_digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
