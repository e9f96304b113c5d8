"""Writing simulated recordings to files, and a cache of them.

A file appears only once it is complete.
"""

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
from evio_ros.sources.file_uri import SCENE_SCHEME
from evio_ros.sources.writers.registry import open_writer

__all__ = [
    "cached_preset",
    "cached_recording",
    "played_path",
    "record",
]

_BUILT_IN = "fan"
"""The default scene: a fan, seen by a small camera, because that takes little time to simulate."""
_BUILT_IN_S = 2.0

SIMULATOR_VERSION = 3
"""Version of the simulator; it must be increased whenever a scene gives other events than before,
so that cached recordings are made anew."""


def record(
    chosen: Preset,
    path: str | os.PathLike[str],
    advance: Callable[[int], None] | None = None,
    form: str = "dat",
) -> int:
    """Simulate a scene and write the recording, with the truth in a file beside it.

    Args:
        chosen: scene, camera and duration.
        path: path of the recording.
        advance: called regularly with the simulated time so far in µs.
        form: format of the recording, see `open_writer`.

    Returns:
        Number of events.

    Raises:
        SourceError: if the file cannot be written.
    """
    # Imported here because it takes long, and existing recordings are played without it.
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
    """Path of a preset's recording in the user's cache; it is simulated if it is not there yet.

    The cache is in `$XDG_CACHE_HOME/evio_ros`, by default `~/.cache/evio_ros`.

    Args:
        name, duration_s, rpm: see `preset`.
        advance: see `record`.
        seed: seed of all random numbers of camera, blades and textures.

    Raises:
        ParameterError: see `preset`.
        SourceError: if the file cannot be written.
    """
    chosen = preset(name, duration_s, rpm)
    chosen = replace(chosen, camera=replace(chosen.camera, seed=seed))
    return cached_preset(name, chosen, advance)


def cached_preset(name: str, chosen: Preset, advance: Callable[[int], None] | None = None) -> Path:
    """Path of any scene's recording in the user's cache; it is simulated if it is not there yet.

    Args:
        name: first part of the file's name; a digest of scene, camera and duration is added.
        chosen: scene, camera and duration.
        advance: see `record`.

    Raises:
        SourceError: if the file cannot be written.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evio_ros"
    folder.mkdir(parents=True, exist_ok=True)
    recipe = f"{SIMULATOR_VERSION} {chosen.scene!r} {chosen.camera!r} {chosen.duration_s!r}"
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    path = folder / f"{name}-{digest}.dat"
    # The recording appears last, so if it exists, its truth exists too.
    if not path.exists():
        record(chosen, path, advance)
    return path


def played_path(source: str, advance: Callable[[int], None] | None = None) -> str:
    """Path of the recording of a simulated source; other sources are returned unchanged.

    Args:
        source: the source that a user named: `scene:fan`, `scene:NAME` with the name of a preset,
            or anything else.
        advance: see `record`.

    Raises:
        ParameterError: if there is no such scene.
        SourceError: if the recording cannot be written.
    """
    if not source.startswith(SCENE_SCHEME):
        return source
    name = source.removeprefix(SCENE_SCHEME)
    if name == _BUILT_IN:
        return str(cached_preset(name, _built_in_fan(), advance))
    return str(cached_recording(name, advance=advance))


def _built_in_fan() -> Preset:
    """The default scene."""
    rotor = Rotor(
        DiscPath.fixed(Ellipse((80.3, 60.6), (40.0, 40.0), 0.0)),
        SpeedProfile.constant(1153.7),
        BladePattern(blades=3),
    )
    camera = SensorParameters(width=160, height=120, hot_pixels=2)
    return Preset(Scene(_BUILT_IN, (rotor,)), camera, _BUILT_IN_S, "a fan at 1153.7 rpm")
