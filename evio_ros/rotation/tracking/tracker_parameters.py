"""The parameters of tracking a rotor."""

from __future__ import annotations

from dataclasses import dataclass

from evio_ros.parameters import Parameters, parameter

__all__ = ["TrackerParameters"]


@dataclass(frozen=True)
class TrackerParameters(Parameters):
    """How a rotor is measured and followed."""

    rings: int = parameter(
        4, minimum=1, maximum=16, doc="Rings of a disc, each with its own template."
    )
    maximum_blades: int = parameter(10, minimum=2, maximum=16, doc="Largest number of blades.")
    maximum_speed_hz: float = parameter(
        2500.0,
        unit="Hz",
        minimum=1.0,
        doc="Turns a second beyond which a rotor counts as lost, and is found anew.",
    )
    hub_radius: float = parameter(
        0.15,
        minimum=0.0,
        maximum=0.9,
        doc="Inner edge of the evaluated ring, as a share of the rim.",
    )
    rim_radius: float = parameter(
        1.1,
        minimum=1.0,
        maximum=2.0,
        doc="Outer edge of the evaluated ring, as a share of the rim.",
    )
    template_memory_us: int = parameter(
        1_000_000, unit="us", minimum=10_000, doc="How much of the past a rotor's template keeps."
    )
    agility_px_s: float = parameter(
        60.0,
        unit="px/s",
        minimum=0.0,
        doc="Process noise of a disc's velocity: standard deviation of its change in a second.",
    )
    shear_agility: float = parameter(
        1.0, unit="1/s", minimum=0.0, doc="The same of the rate at which a disc changes its shape."
    )
    rest_us: int = parameter(
        5_000_000,
        unit="us",
        minimum=0,
        doc="A rotor that stands still is given up after this time.",
    )
