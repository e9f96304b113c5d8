"""The takes of a half black, half white disc, and the same scene for the simulator."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.presets import preset
from evio_ros.simulation.scene import Path as DiscPath
from evio_ros.simulation.scene import Scene
from evio_ros.simulation.simulator import simulate
from evio_ros.simulation.speed import SpeedProfile
from evio_ros.sources.registry import open_recording

FIT = ("11_34_19", "11_35_19", "11_36_46")
"""Takes to which the sensor of the scene half_disc was fitted."""
JUDGE = ("11_34_58", "11_35_57", "11_37_40")
"""Takes for its evaluation."""
_KNOT_ANGLES = 6
"""Number of angles of the truth between two knots of the simulated speed: 6 ms when fast."""
_REST_US = 300_000
"""Longest time at rest simulated after the motion."""
_EVENTS_PER_ANGLE = 400
_IN_DISC = 99.9
"""Percentile of the events' distance from the hub that is taken as the disc's radius; the crop may
show only a part of the disc."""
_LAG_US = 4_500.0
"""Mean lag of the events behind their edge, and so of the angle measured from them."""


@dataclass(frozen=True)
class Take:
    """Events of a turning half disc, real or simulated.

    Attributes:
        name: name of the take.
        events: its events, from time 0.
        hub: (x, y) of the disc's hub in pixels.
        motion_us: (start, end) of the motion.
    """

    name: str
    events: EventBatch
    hub: tuple[float, float]
    motion_us: tuple[float, float]

    def angles(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Times [us] and unwrapped angles [rad] of the ON edge, with the lag of its events.

        The polarity-weighted mean direction of every 400 events.
        """
        events = self.events.between(*map(int, self.motion_us))
        direction = np.arctan2(events.y - self.hub[1], events.x - self.hub[0])
        weight = np.where(events.polarity, 1.0, -1.0) * np.exp(1j * direction)
        whole = len(weight) // _EVENTS_PER_ANGLE * _EVENTS_PER_ANGLE
        sums = weight[:whole].reshape(-1, _EVENTS_PER_ANGLE).sum(axis=1)
        times = events.t[:whole].reshape(-1, _EVENTS_PER_ANGLE).mean(axis=1)
        return times, np.unwrap(np.angle(sums))


def read_take(folder: Path, name: str) -> tuple[Take, dict[str, list[float]]]:
    """A real take, and its ground truth: `t_us` and `angle_rad` of the ON edge."""
    truth = json.loads((folder / f"{name}.truth.json").read_text(encoding="utf-8"))
    with open_recording(str(folder / f"{name}.aedat4")) as source:
        events = EventBatch.concatenate(source.size, source.batches())
    x, y, hub = events.x, events.y, truth["hub"]
    # Odd columns, which differ from even ones, remain odd.
    corner = int(x.min()) // 2 * 2, int(y.min()) // 2 * 2
    size = type(events.size)(int(x.max()) - corner[0] + 1, int(y.max()) - corner[1] + 1)
    events = EventBatch.trusted(
        size, events.t - events.t[0], x - corner[0], y - corner[1], events.polarity
    )
    motion = (truth["t_us"][0], truth["t_us"][-1])
    return Take(name, events, (hub[0] - corner[0], hub[1] - corner[1]), motion), truth


def simulated_take(
    take: Take, truth: dict[str, list[float]], camera: SensorParameters | None = None, seed: int = 0
) -> Take:
    """The simulated take, with the same hub, crop and motion.

    Args:
        take, truth: the real take.
        camera: the sensor; None for that of the scene half_disc.
        seed: seed of all random numbers.
    """
    chosen = preset("half_disc")
    (rotor,) = chosen.scene.rotors
    when, angle = np.array(truth["t_us"]), np.array(truth["angle_rad"])
    when = when - _LAG_US
    speed = _speed(when, angle)
    sense = np.sign(angle[-1] - angle[0])
    # The centre line of the black half is a quarter turn ahead of the ON edge.
    phase = float(np.mean(angle - 2 * math.pi * speed.turns(when))) + sense * math.pi / 2
    moving = take.events.between(*map(int, take.motion_us))
    reach = np.hypot(moving.x - take.hub[0], moving.y - take.hub[1])
    radius = float(np.percentile(reach, _IN_DISC))
    disc = DiscPath.fixed(Ellipse(take.hub, (radius, radius), 0.0))
    scene = Scene(take.name, (replace(rotor, path=disc, speed=speed, phase_rad=phase),))
    scene = replace(scene, background=chosen.scene.background)
    size = {"width": take.events.size.width, "height": take.events.size.height, "seed": seed}
    camera = (camera or chosen.camera).replaced(size)
    end_us = min(int(take.events.t[-1]), int(take.motion_us[1]) + _REST_US)
    events = EventBatch.concatenate(camera.size, simulate(scene, camera, end_us))
    return Take(take.name, events, take.hub, take.motion_us)


def _speed(when: NDArray[np.float64], angle: NDArray[np.float64]) -> SpeedProfile:
    """The motion of the take, between times at rest."""
    knots = when[::_KNOT_ANGLES]
    rpm = np.diff(angle[::_KNOT_ANGLES]) / np.diff(knots) * 60e6 / (2 * math.pi)
    middle = 0.5 * (knots[1:] + knots[:-1])
    times = np.concatenate(((0.0, max(when[0] - 30e3, 0.0)), middle, (when[-1] + 60e3,)))
    return SpeedProfile(tuple(times.tolist()), (0.0, 0.0, *rpm.tolist(), 0.0))
