"""What the rotation detector says of recordings, window after window, kept on disk.

The detector is run as a live camera would have it: no window is looked back on. What it says does
not depend on fusion, so it is measured once and read from the cache of simulated recordings after.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from evio_ros.atomic_file import atomic_file
from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch
from evio_ros.pipeline import measure_batches
from evio_ros.playback.simulated_recording import cached_recording
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.simulation.truth import Truth, truth_path
from evio_ros.sources.registry import open_recording

__all__ = ["Run", "simulated_run"]

_PACKET_US = 10_000
_VERSION = 1


@dataclass(frozen=True)
class Run:
    """One recording as the detector saw it.

    Attributes:
        name: what it is.
        windows: end of each window [us] and its estimates.
        truth: the exact motion; None for a real take.
        window_us: length of a window.
    """

    name: str
    windows: list[tuple[int, list[RotorEstimate]]]
    truth: Truth | None
    window_us: int


def simulated_run(
    scene: str,
    duration_s: float | None = None,
    seed: int = 0,
    window_us: int = 100_000,
    lost: float = 0.0,
) -> Run:
    """The detector's windows of a simulated scene.

    Args:
        scene: name of a preset.
        duration_s: length; None for the usual one.
        seed: of everything random.
        window_us: length of a window; a step is at most 50 ms.
        lost: share of packets of 10 ms that never reached the detector, which is told so.
    """
    path = cached_recording(scene, duration_s, seed=seed)
    truth = Truth.read(truth_path(path))
    key = f"{path.stem}-{window_us}-{lost:g}-{_VERSION}"
    windows = _kept(key)
    if windows is None:
        windows = list(_measured(path, window_us, lost, seed))
        _keep(key, windows)
    return Run(f"{scene} {seed}" + (f" lost {lost:.0%}" if lost else ""), windows, truth, window_us)


def _measured(
    path: Path, window_us: int, lost: float, seed: int
) -> Iterator[tuple[int, list[RotorEstimate]]]:
    parameters = RotationDetectorParameters(
        window_us=window_us, step_us=window_us // -(-window_us // 50_000)
    )
    gaps: list[range] = []

    def received(source: object) -> Iterator[EventBatch]:
        for batch in source.batches():  # type: ignore[attr-defined]
            if not len(batch):
                continue
            first = int(batch.t[0]) // _PACKET_US
            last = int(batch.t[-1]) // _PACKET_US
            for packet in range(first, last + 1):
                begin_us, end_us = packet * _PACKET_US, (packet + 1) * _PACKET_US
                if (packet * 2654435761 + seed) % 2**32 / 2**32 < lost:
                    if not gaps or gaps[-1].start != begin_us:
                        gaps.append(range(begin_us, end_us))
                    continue
                part = batch.between(begin_us, end_us)
                if len(part):
                    yield part

    with open_recording(str(path)) as source:
        for one in measure_batches(
            received(source), source.size, parameters, source.start_us, source.end_us, gaps=gaps
        ):
            yield one.t_us, one.rotors


def _folder() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evio_ros"
    return folder / "estimates"


def _kept(key: str) -> list[tuple[int, list[RotorEstimate]]] | None:
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


def _keep(key: str, windows: list[tuple[int, list[RotorEstimate]]]) -> None:
    _folder().mkdir(parents=True, exist_ok=True)
    with atomic_file(_folder() / f"{key}.json") as file:
        json.dump([(t_us, [asdict(one) for one in rotors]) for t_us, rotors in windows], file)
