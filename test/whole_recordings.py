"""All events of a recording, or of a simulated scene, as one batch."""

from __future__ import annotations

from pathlib import Path

from evio_ros.events import EventBatch
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.presets import preset
from evio_ros.simulation.scene import Scene
from evio_ros.simulation.simulator import simulate
from evio_ros.sources.registry import open_source


def all_events(path: Path) -> EventBatch:
    """The events of a recording."""
    with open_source(str(path)) as source:
        return EventBatch.concatenate(source.size, source.batches())


def simulated(scene: Scene, camera: SensorParameters, duration_us: int) -> EventBatch:
    """The events of a simulated scene."""
    return EventBatch.concatenate(camera.size, simulate(scene, camera, duration_us))


def simulated_preset(name: str, duration_us: int) -> EventBatch:
    """The events of a named scene."""
    chosen = preset(name)
    return simulated(chosen.scene, chosen.camera, duration_us)
