"""Simulated recordings in files, written completely or not at all, and kept in a cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from evio_ros.ellipse import Ellipse
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.presets import Preset, preset
from evio_ros.simulation.scene import BladePattern, Rotor, Scene
from evio_ros.simulation.scene import Path as DiscPath
from evio_ros.simulation.speed import SpeedProfile
from evio_ros.simulation.truth import Truth, truth_path
from evio_ros.sources.writers.registry import open_writer

__all__ = [
    "cached_preset",
    "cached_recording",
    "played_path",
    "record",
]

_SCHEME = "scene:"
"""What the name of a simulated source begins with."""
_BUILT_IN = "fan"
"""The scene for those who name none: a fan, seen by a camera so small that it is soon simulated."""
_BUILT_IN_S = 2.0

SIMULATOR_VERSION = 3
"""Increased whenever the same scene gives other events, so that caches are made again."""


def record(
    chosen: Preset,
    path: str | os.PathLike[str],
    advance: Callable[[int], None] | None = None,
    form: str = "dat",
) -> int:
    """Simulate a scene into a recording, with its truth next to it.

    Args:
        chosen: scene, camera and duration.
        path: name of the recording.
        advance: called now and then with the microseconds that are done.
        form: format of the recording, as of `open_writer`.

    Returns:
        Number of events.

    Raises:
        SourceError: if the file cannot be written.
    """
    # Whoever plays a recording does not wait for what makes one.
    from evio_ros.simulation.simulator import simulate

    duration_us = round(chosen.duration_s * 1e6)
    events = done_us = 0
    with open_writer(os.fspath(path), chosen.camera.size, form) as writer:
        for batch in simulate(chosen.scene, chosen.camera, duration_us):
            writer.append(batch)
            events += len(batch)
            done_us = min(done_us + 10_000, duration_us)
            if advance is not None:
                advance(done_us)
        Truth.of(chosen.scene, duration_us).write(truth_path(path))
    return events


def cached_recording(
    name: str,
    duration_s: float | None = None,
    rpm: float | None = None,
    advance: Callable[[int], None] | None = None,
    seed: int = 0,
) -> Path:
    """A preset's recording in the user's cache, made if it is not there yet.

    The cache lies in `$XDG_CACHE_HOME/evio_ros`, by default `~/.cache/evio_ros`.

    Args:
        name, duration_s, rpm: see `preset`.
        advance: see `record`.
        seed: of everything random in the camera, the blades and textures.
    """
    chosen = preset(name, duration_s, rpm)
    chosen = replace(chosen, camera=replace(chosen.camera, seed=seed))
    return cached_preset(name, chosen, advance)


def cached_preset(name: str, chosen: Preset, advance: Callable[[int], None] | None = None) -> Path:
    """The recording of any scene in the user's cache, made if it is not there yet.

    Args:
        name: what its file's name begins with.
        chosen: scene, camera and duration.
        advance: see `record`.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evio_ros"
    folder.mkdir(parents=True, exist_ok=True)
    recipe = f"{SIMULATOR_VERSION} {chosen.scene!r} {chosen.camera!r} {chosen.duration_s!r}"
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    path = folder / f"{name}-{digest}.dat"
    # The recording appears last, so where it is, its truth is too.
    if not path.exists():
        record(chosen, path, advance)
    return path


def played_path(source: str, advance: Callable[[int], None] | None = None) -> str:
    """The path of the recording of `scene:fan` or `scene:NAME`; other sources are unchanged.

    Args:
        source: what a user names as source.
        advance: see `record`.

    Raises:
        ParameterError: if there is no such scene.
    """
    if not source.startswith(_SCHEME):
        return source
    name = source.removeprefix(_SCHEME)
    if name == _BUILT_IN:
        return str(cached_preset(name, _built_in_fan(), advance))
    return str(cached_recording(name, advance=advance))


def _built_in_fan() -> Preset:
    rotor = Rotor(
        DiscPath.fixed(Ellipse((80.3, 60.6), (40.0, 40.0), 0.0)),
        SpeedProfile.constant(1153.7),
        BladePattern(blades=3),
    )
    camera = SensorParameters(width=160, height=120, hot_pixels=2)
    return Preset(Scene(_BUILT_IN, (rotor,)), camera, _BUILT_IN_S, "a fan at 1153.7 rpm")
