"""The parameters of tracking a rotor."""

from __future__ import annotations

from dataclasses import dataclass

from evio_ros.parameters import Parameters, parameter

__all__ = ["TrackerParameters"]


@dataclass(frozen=True)
class TrackerParameters(Parameters):
    """How a rotor is measured and tracked."""

    rings: int = parameter(
        4,
        minimum=1,
        maximum=16,
        doc="Number of rings that a disc is divided into, each with its own template.",
    )
    maximum_blades: int = parameter(
        10, minimum=2, maximum=16, doc="Largest blade count considered."
    )
    maximum_speed_hz: float = parameter(
        2500.0,
        unit="Hz",
        minimum=1.0,
        doc="A rotor that seems to turn faster than this, in turns per second, counts as lost "
        "and is reacquired.",
    )
    hub_radius: float = parameter(
        0.15,
        minimum=0.0,
        maximum=0.9,
        doc="Inner radius of the evaluated annulus, relative to the rim's.",
    )
    rim_radius: float = parameter(
        1.1,
        minimum=1.0,
        maximum=2.0,
        doc="Outer radius of the evaluated annulus, relative to the rim's.",
    )
    template_memory_us: int = parameter(
        1_000_000,
        unit="us",
        minimum=10_000,
        doc="Length of the past that a rotor's template remembers.",
    )
    agility_px_s: float = parameter(
        60.0,
        unit="px/s",
        minimum=0.0,
        doc="Process noise of a disc's velocity: standard deviation of its change in one second.",
    )
    shear_agility: float = parameter(
        1.0,
        unit="1/s",
        minimum=0.0,
        doc="Process noise of the rate at which a disc changes shape: standard deviation of its "
        "change in one second.",
    )
    rest_us: int = parameter(
        5_000_000,
        unit="us",
        minimum=0,
        doc="A rotor that has stood still for this long is dropped.",
    )
