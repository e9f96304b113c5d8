"""Rendering tensors as pictures.

ON and OFF events are shown as light added to a dark background: ON orange and OFF blue, which are
distinguishable with any colour vision, and both together white. Time surfaces are shown in inferno,
a perceptually uniform colour map.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.errors import ParameterError
from evio_ros.events import SensorSize
from evio_ros.representations.activity import Activity, ActivityParameters
from evio_ros.representations.base import Representation, TensorArray, check_output
from evio_ros.representations.stacked_histogram import StackedHistogram, StackedHistogramParameters
from evio_ros.representations.time_surface import TimeSurface, TimeSurfaceParameters

__all__ = ["LOOKS", "Picture", "draw_picture", "representation_of"]

Picture = NDArray[np.uint8]

_GROUND = (16, 16, 22)
_ON = (255, 150, 40)
_OFF = (40, 130, 255)
_BRIGHTEST_EVENTS = 15
_FAINT_EVENTS = 0.125
"""Brightness grows linearly up to here and logarithmically beyond."""
_STEPS_PER_EVENT = 16
_LEVEL_BITS = 6


def draw_picture(kind: str, tensor: TensorArray, out: Picture) -> None:
    """Draw a tensor.

    Args:
        kind: one of `LOOKS`: "event_frame" and "activity" show how many events there were, on a
            logarithmic scale that ends at 15; "time_surface" how recent the last one is.
        tensor: (2, rows, columns), OFF first, as the representation of that kind gives it.
        out: uint8 (rows, columns, 3), RGB; overwritten.

    Raises:
        ParameterError: if there is no such look, or an array does not fit.
    """
    if kind not in LOOKS:
        raise _no_such(kind)
    if tensor.ndim != 3 or tensor.shape[0] != 2:
        raise ParameterError(f"tensor is {tensor.shape}, not (2, rows, columns)")
    check_output(out, (*tensor.shape[1:], 3), np.dtype(np.uint8))
    LOOKS[kind](tensor, out)


def _draw_light(tensor: TensorArray, out: Picture) -> None:
    off, on = tensor.reshape(2, -1)
    _look_up(off, on, _levels(), _palette(), out.reshape(-1, 3))


def _draw_recency(tensor: TensorArray, out: Picture) -> None:
    off, on = tensor.reshape(2, -1)
    _map_recency(on, off, _inferno(), out.reshape(-1, 3))


def representation_of(look: str, size: SensorSize, tau_us: int) -> Representation:
    """The representation that a look is drawn from, with a tensor of (2, rows, columns).

    Args:
        look: one of `LOOKS`.
        size: geometry of the sensor.
        tau_us: time constant of "activity" and "time_surface" in µs.

    Raises:
        ParameterError: if there is no such look, or the time constant is out of range.
    """
    if look == "activity":
        return Activity(size, ActivityParameters(tau_us=tau_us))
    if look == "time_surface":
        return TimeSurface(size, TimeSurfaceParameters(tau_us=tau_us))
    if look not in LOOKS:
        raise _no_such(look)
    # An event frame in bytes: more events than this are not shown brighter.
    frame = StackedHistogramParameters(bins=1, cutoff=_BRIGHTEST_EVENTS, span="window")
    return StackedHistogram(size, frame)


def _no_such(look: str) -> ParameterError:
    return ParameterError(f"kind: {look!r} has no picture; these have: {', '.join(LOOKS)}")


LOOKS: dict[str, Callable[[TensorArray, Picture], None]] = {
    "event_frame": _draw_light,
    "activity": _draw_light,
    "time_surface": _draw_recency,
}


@functools.cache
def _levels() -> NDArray[np.uint8]:
    """Brightness level, 0 to 63, by number of events in sixteenths."""
    events = np.arange(_BRIGHTEST_EVENTS * _STEPS_PER_EVENT + 1) / _STEPS_PER_EVENT
    brightness = np.log1p(events / _FAINT_EVENTS) / np.log1p(_BRIGHTEST_EVENTS / _FAINT_EVENTS)
    return np.rint(brightness * ((1 << _LEVEL_BITS) - 1)).astype(np.uint8)


@functools.cache
def _palette() -> Picture:
    """Colours, (64 levels of OFF * 64 levels of ON, 3)."""
    brightness = np.linspace(0.0, 1.0, 1 << _LEVEL_BITS)
    ground = np.array(_GROUND, np.float64)
    off = brightness[:, None, None] * (_OFF - ground)
    on = brightness[None, :, None] * (_ON - ground)
    return np.rint(ground + off + on).clip(0, 255).astype(np.uint8).reshape(-1, 3)


@functools.cache
def _inferno() -> Picture:
    """The colour map, (256, 3)."""
    import matplotlib

    colors = matplotlib.colormaps["inferno"](np.arange(256), bytes=True)
    return np.ascontiguousarray(colors[:, :3])


@njit(cache=True, nogil=True)
def _look_up(off, on, levels, palette, out):
    last = levels.size - 1
    for j in range(on.size):
        off_level = levels[min(np.int64(off[j] * _STEPS_PER_EVENT), last)]
        on_level = levels[min(np.int64(on[j] * _STEPS_PER_EVENT), last)]
        color = (np.int64(off_level) << _LEVEL_BITS) + on_level
        out[j, 0] = palette[color, 0]
        out[j, 1] = palette[color, 1]
        out[j, 2] = palette[color, 2]


@njit(cache=True, nogil=True)
def _map_recency(on, off, colors, out):
    for j in range(on.size):
        level = np.int64(max(on[j], off[j]) * np.float32(255.0) + np.float32(0.5))
        for c in range(3):
            out[j, c] = colors[level, c]
