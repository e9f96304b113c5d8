"""The rotation detector's parameters, and how a step is cut into slices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, get_type_hints

from evio_ros.parameters import ParameterDescription, parameter, refuse_unknown
from evio_ros.rotation.acquisition.regions import RegionParameters
from evio_ros.rotation.acquisition.winding import AcquisitionParameters
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters
from evio_ros.rotation.window_parameters import WindowParameters

__all__ = ["DetectorSettings", "RotationDetectorParameters"]

_LONGEST_SLICE_US = 5_000
"""Within a slice, a rotor's acceleration is neglected; between slices it is not. Shorter slices
cost more per event."""
_SHORTEST_MEMORY_US = 50_000
"""Minimum window length used for patience, which is counted in windows: a rotor that is hidden for
two windows of 10 ms is not dropped."""


@dataclass(frozen=True)
class RotationDetectorParameters(WindowParameters):
    """The main parameters of the rotation detector."""

    acquisition_us: int = parameter(
        250_000,
        unit="us",
        minimum=20_000,
        maximum=2_000_000,
        doc="Length of the stretch of events in which new rotors are searched for.",
    )
    maximum_rotors: int = parameter(
        8, minimum=1, maximum=64, doc="Maximum number of rotors tracked at once."
    )
    patience: int = parameter(
        2,
        minimum=1,
        maximum=100,
        doc="A rotor is dropped once it has not been seen for this many windows; a window "
        "shorter than 50 ms counts as 50 ms.",
    )

    @property
    def slice_lengths_us(self) -> tuple[int, ...]:
        """Lengths in µs of a step's slices: as few equal slices of at most 5 ms as possible.

        If the step is not divisible, the last slice is shorter, by less than a microsecond per
        slice.
        """
        slices = -(-self.step_us // _LONGEST_SLICE_US)
        length_us = -(-self.step_us // slices)
        return (length_us,) * (slices - 1) + (self.step_us - (slices - 1) * length_us,)

    @property
    def patience_us(self) -> int:
        """Time in µs after which a rotor that is not seen is dropped."""
        return self.patience * max(self.window_us, _SHORTEST_MEMORY_US)


class DetectorSettings(NamedTuple):
    """All parameters of a detector, in the order in which `RotationDetector` takes them."""

    detector: RotationDetectorParameters = RotationDetectorParameters()
    regions: RegionParameters = RegionParameters()
    acquisition: AcquisitionParameters = AcquisitionParameters()
    tracking: TrackerParameters = TrackerParameters()

    @property
    def window_us(self) -> int:
        """Length of the measured window in µs."""
        return self.detector.window_us

    @property
    def step_us(self) -> int:
        """Time from one result to the next in µs."""
        return self.detector.step_us

    @classmethod
    def describe(cls) -> dict[str, ParameterDescription]:
        """Descriptions of all parameters, by their names in the rotation_detector node.

        Names of regions, acquisition and tracking have the group's name and a dot as prefix.
        """
        return {
            f"{group}.{description.name}".removeprefix("detector."): description
            for group, kind in get_type_hints(cls).items()
            for description in kind.describe()
        }

    def replaced(self, values: Mapping[str, object]) -> DetectorSettings:
        """A copy with some values changed, by their names in `describe`.

        Raises:
            ParameterError: if there is no such parameter, or a value has the wrong type or is out
                of range.
        """
        known = self.describe()
        changes: dict[str, dict[str, object]] = {group: {} for group in self._fields}
        for name, value in values.items():
            refuse_unknown(name, known.keys())
            group, _, own_name = name.rpartition(".")
            changes[group or "detector"][own_name] = value
        return DetectorSettings(
            self.detector.replaced(changes["detector"]),
            self.regions.replaced(changes["regions"]),
            self.acquisition.replaced(changes["acquisition"]),
            self.tracking.replaced(changes["tracking"]),
        )
