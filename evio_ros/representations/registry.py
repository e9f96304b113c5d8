"""The kinds of representation, one line each; a kind's name is its module's."""

from __future__ import annotations

from typing import Any, NamedTuple

from evio_ros.errors import ParameterError
from evio_ros.events import SensorSize
from evio_ros.representations import torch_representations as by_torch
from evio_ros.representations.activity import Activity, ActivityParameters
from evio_ros.representations.base import Representation, RepresentationParameters
from evio_ros.representations.event_frame import EventFrame, EventFrameParameters
from evio_ros.representations.mixed_density import MixedDensity, MixedDensityParameters
from evio_ros.representations.stacked_histogram import StackedHistogram, StackedHistogramParameters
from evio_ros.representations.time_surface import TimeSurface, TimeSurfaceParameters
from evio_ros.representations.voxel_grid import VoxelGrid, VoxelGridParameters

__all__ = ["KINDS", "make"]


class _Kind(NamedTuple):
    """Parameters of a kind, and its implementations by compiled loops and by PyTorch."""

    parameters: type[RepresentationParameters]
    by_numba: Any
    by_torch: Any


KINDS = {
    "activity": _Kind(ActivityParameters, Activity, by_torch.TorchActivity),
    "event_frame": _Kind(EventFrameParameters, EventFrame, by_torch.TorchEventFrame),
    "mixed_density": _Kind(MixedDensityParameters, MixedDensity, by_torch.TorchMixedDensity),
    "stacked_histogram": _Kind(
        StackedHistogramParameters, StackedHistogram, by_torch.TorchStackedHistogram
    ),
    "time_surface": _Kind(TimeSurfaceParameters, TimeSurface, by_torch.TorchTimeSurface),
    "voxel_grid": _Kind(VoxelGridParameters, VoxelGrid, by_torch.TorchVoxelGrid),
}


def make(
    kind: str, size: SensorSize, parameters: RepresentationParameters | None = None
) -> Representation:
    """Create a representation.

    Args:
        kind: a key of `KINDS`.
        size: geometry of the sensor.
        parameters: an instance of the kind's parameters; None for the defaults. Its `device`
            selects compiled loops or PyTorch.

    Raises:
        ParameterError: if the kind does not exist, the parameters are those of another kind, or the
            device is missing.
        EventError: if the sensor is too small.
    """
    if kind not in KINDS:
        raise ParameterError(f"kind: {kind!r} is not one of {', '.join(KINDS)}")
    chosen = KINDS[kind]
    given = parameters if parameters is not None else chosen.parameters()
    if type(given) is not chosen.parameters:
        wanted, got = chosen.parameters.__name__, type(given).__name__
        raise ParameterError(f"parameters: {kind} takes {wanted}, not {got}")
    member = chosen.by_numba if given.device == "numba" else chosen.by_torch
    return member(size, given)
