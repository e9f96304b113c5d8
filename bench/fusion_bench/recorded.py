"""Estimates of the rotation detector for recordings, cached on disk.

The detector runs as with a live camera, without looking back. Its estimates do not depend on
fusion, so they are computed once and then read from the cache of simulated recordings.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from real_takes import AS_IT_IS, FOLDER, SPEEDS_RPM, WINDOW_US, Take, kind_of, measured, takes

import evio_ros.rotation
from evio_ros.atomic_file import atomic_file
from evio_ros.ellipse import Ellipse
from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch
from evio_ros.pipeline import measure_batches
from evio_ros.playback.simulated_recording import cached_preset, cached_recording
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.presets import Preset
from evio_ros.simulation.scene import BladePattern, Rotor, Scene
from evio_ros.simulation.scene import Path as DiscPath
from evio_ros.simulation.speed import SpeedProfile
from evio_ros.simulation.truth import RotorTruth, Truth, truth_path
from evio_ros.sources.registry import open_recording

__all__ = ["Run", "long_run", "simulated_run", "take_runs"]

_PACKET_US = 10_000
_LONG_S, _LONG_RPM = 60.0, 1150.0
_RAMP_RPM = 900.0, 1300.0
_Retime = Callable[[NDArray[np.int64]], NDArray[np.int64]]
_DETECTOR = Path(evio_ros.rotation.__file__).parent


@dataclass(frozen=True)
class Run:
    """Estimates of one recording.

    Attributes:
        name: name for tables.
        windows: end of each window in µs and its estimates.
        truth: ground truth; None for a real take.
        window_us: length of a window in µs.
    """

    name: str
    windows: list[tuple[int, list[RotorEstimate]]]
    truth: Truth | None
    window_us: int


def simulated_run(
    scene: str, seed: int = 0, window_us: int = 100_000, duration_s: float | None = None
) -> Run:
    """The estimates of a simulated scene.

    Args:
        scene: name of a preset.
        seed: seed of all random numbers.
        window_us: length of a window in µs; a step is at most 50 ms.
        duration_s: duration in s; None for the scene's own.
    """
    path = cached_recording(scene, duration_s, seed=seed)
    return _run(f"{scene} {seed}", path, window_us, 0.0)


def long_run(ramp: bool, lost: float) -> Run:
    """A minute of a small fan at 1150 rpm with lost packets.

    Args:
        ramp: whether its events are re-timed to a speed that increases from 900 to 1300 rpm.
        lost: share of packets of 10 ms that are lost; the detector knows the gaps.
    """
    disc = Ellipse((40.3, 40.6), (24.0, 24.0), 0.0)
    speed = SpeedProfile.through((0.0, _LONG_RPM), (_LONG_S, _LONG_RPM))
    rotor = Rotor(DiscPath.fixed(disc), speed, BladePattern(blades=3))
    camera = SensorParameters(width=80, height=80)
    chosen = Preset(Scene("fan_minute", (rotor,)), camera, _LONG_S, "a minute of a small fan")
    path = cached_preset("fan_minute", chosen)
    if not ramp:
        return _run(f"{_LONG_RPM:g} rpm, {lost:.0%} lost", path, 100_000, lost)
    profile = SpeedProfile.through((0.0, _RAMP_RPM[0]), (_LONG_S, _RAMP_RPM[1]))
    run = _run(
        f"{_RAMP_RPM[0]:g} to {_RAMP_RPM[1]:g} rpm, {lost:.0%} lost", path, 100_000, lost, _to_ramp
    )
    assert run.truth is not None
    truth = replace(run.truth, rotors=(replace(run.truth.rotors[0], speed=profile),))
    return replace(run, truth=truth)


def _to_ramp(t_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Times at which the ramp has made as many turns as the constant speed at the given times."""
    first, last = (rpm / 60 for rpm in _RAMP_RPM)
    turns = _LONG_RPM / 60 * 1e-6 * t_us
    half = 0.5 * (last - first) / _LONG_S
    return np.round(1e6 * (np.sqrt(first**2 + 4 * half * turns) - first) / (2 * half)).astype(int)


def _same(t_us: NDArray[np.int64]) -> NDArray[np.int64]:
    return t_us


def take_runs() -> Iterator[Run]:
    """The estimates of the real takes of a disc spun by hand, as recorded and re-timed; none if the
    takes are missing.
    """
    if not FOLDER.is_dir():
        return
    for take in takes(FOLDER, None, [AS_IT_IS, kind_of(SPEEDS_RPM[0], 1.0)]):
        key = f"take-{take.name}-{take.kind.replace(' ', '_')}-{_version()}"
        windows = _cached(key)
        if windows is None:
            windows = list(measured(take))
            _store(key, windows)
        yield Run(f"{take.name}, {take.kind}", windows, _truth_of(take), WINDOW_US)


def _truth_of(take: Take) -> Truth:
    """The motion of a take's disc, as a profile with a knot every 20 ms."""
    times_us, angles = take.truth.times_us, take.truth.angles_rad
    knots = np.arange(times_us[0], times_us[-1], 20_000.0)
    speeds = np.gradient(np.interp(knots, times_us, angles), knots) * 60e6 / (2 * math.pi)
    profile = SpeedProfile.through(*zip((1e-6 * knots).tolist(), speeds.tolist(), strict=True))
    disc = Ellipse(take.truth.hub, (40.0, 40.0), 0.0)
    begin = float(np.interp(0.0, times_us, angles))
    rotor = RotorTruth(0, 1, begin, profile, DiscPath.fixed(disc))
    return Truth(take.name, int(times_us[-1]), (rotor,))


def _run(name: str, path: Path, window_us: int, lost: float, retime: _Retime = _same) -> Run:
    truth = Truth.read(truth_path(path))
    key = f"{path.stem}-{window_us}-{lost:g}{'' if retime is _same else '-ramp'}-{_version()}"
    windows = _cached(key)
    if windows is None:
        windows = list(_measured(path, window_us, lost, retime))
        _store(key, windows)
    return Run(name, windows, truth, window_us)


def _measured(
    path: Path, window_us: int, lost: float, retime: _Retime
) -> Iterator[tuple[int, list[RotorEstimate]]]:
    parameters = RotationDetectorParameters(
        window_us=window_us, step_us=window_us // -(-window_us // 50_000)
    )
    with open_recording(str(path)) as source:
        start_us, end_us = (int(t) for t in retime(np.array((source.start_us, source.end_us))))
        end_us = min(end_us, round(1e6 * _LONG_S))
        packets = range(start_us, end_us, _PACKET_US)
        missing = np.random.default_rng(11).random(len(packets)) < lost
        gaps = [
            range(start, start + _PACKET_US)
            for start, gone in zip(packets, missing, strict=True)
            if gone
        ]
        batches = _received((_retimed(batch, retime) for batch in source.batches()), gaps)
        for one in measure_batches(batches, source.size, parameters, start_us, end_us, gaps=gaps):
            yield one.t_us, one.rotors


def _retimed(batch: EventBatch, retime: _Retime) -> EventBatch:
    return EventBatch(batch.size, retime(batch.t), batch.x, batch.y, batch.polarity)


def _received(batches: Iterable[EventBatch], gaps: list[range]) -> Iterator[EventBatch]:
    """Batches without the events of gaps."""
    starts = np.array([gap.start for gap in gaps] or [np.iinfo(np.int64).max])
    for batch in batches:
        place = np.searchsorted(starts, batch.t, "right") - 1
        is_lost = (place >= 0) & (batch.t < starts[np.maximum(place, 0)] + _PACKET_US)
        if not is_lost.any():
            yield batch
            continue
        kept = ~is_lost
        yield EventBatch(
            batch.size, batch.t[kept], batch.x[kept], batch.y[kept], batch.polarity[kept]
        )


@cache
def _version() -> str:
    """Digest of the detector's code, so that estimates of another version are not used."""
    digest = hashlib.sha256()
    for path in sorted(_DETECTOR.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _folder() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evio_ros"
    return folder / "estimates"


def _cached(key: str) -> list[tuple[int, list[RotorEstimate]]] | None:
    path = _folder() / f"{key}.json"
    if not path.exists():
        return None
    pairs = ("center", "axes", "velocity", "center_std")
    return [
        (
            t_us,
            [
                RotorEstimate(**{k: tuple(v) if k in pairs else v for k, v in one.items()})
                for one in rotors
            ],
        )
        for t_us, rotors in json.loads(path.read_text())
    ]


def _store(key: str, windows: list[tuple[int, list[RotorEstimate]]]) -> None:
    _folder().mkdir(parents=True, exist_ok=True)
    with atomic_file(_folder() / f"{key}.json") as file:
        json.dump([(t_us, [asdict(one) for one in rotors]) for t_us, rotors in windows], file)
