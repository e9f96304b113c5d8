"""RotationStateArray messages read from and written as serialised bytes.

Python objects of these messages are slow: each field is checked as it is set, and a rotor with
three blades has a hundred. Fields of fixed size lie as in an aligned structure of C.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from std_msgs.msg import Header

from evio_ros.estimate import RotorEstimate
from evio_ros.msg import RotationStateArray
from evio_ros.ros.cdr import LITTLE_ENDIAN_CDR, CdrReader, header_bytes, padded, text_bytes
from evio_ros.ros.rotation_messages import UNKNOWN_VARIANCE
from evio_ros.rotor_state import BladeState, RotorState, Source
from evio_ros.units import RAD_S_PER_RPM, TURN_RAD

__all__ = [
    "RawRotationStates",
    "SerialisedStates",
    "read_rotation_states",
    "serialised_estimates",
]

_LARGEST_VARIANCE = 1e18
_ANY_DEVIATION = 1e150
"""Of an unknown value: whatever goes with it is within its bounds."""
_ROUNDING = 1e-9
"""Relative; covariances that are off by less are symmetric, and no correlation is too large."""
_U32 = struct.Struct("<I")
_ARRAY = struct.Struct("<qI4xQI")  # window_end, window_length, event_count; number of states
_STATE = np.dtype(
    [
        ("window_end", "<i8"),
        ("window_length", "<u4"),
        ("event_count", "<u8"),
        ("rpm", "<f8"),
        ("rpm_std", "<f8"),
        ("rpm_rate", "<f8"),
        ("angular_velocity", "<f8", 2),  # and its deviation
        ("angle", "<f8"),
        ("angle_std", "<f8"),
        ("turns", "<f8"),
        ("blade_count", "u1"),
        ("center", "<f8", 2),
        ("axes", "<f8", 2),
        ("tilt", "<f8"),
        ("velocity", "<f8", 2),
        ("covariance", "<f8", (6, 6)),
        ("confidence", "<f8"),
        ("sources", "u1"),
        ("blades", "<u4"),
    ],
    align=True,
)
"""What a state has from its window's end to the number of its blades."""
_ESTIMATE = (
    *("window_end", "window_length", "rpm", "rpm_std", "blade_count", "angle", "angle_std"),
    *("turns", "center", "axes", "tilt", "velocity", "confidence", "event_count"),
)
"""What an estimate is made of, in its own order, after its number."""
_BEFORE_COVARIANCE, _AFTER_COVARIANCE = struct.Struct("<qI4xQ8dB7x7d"), struct.Struct("<dB3xI")
"""The same, to be written."""
_BLADE = struct.Struct("<I4x5d")  # its covariance follows
_BLADE_BYTES = _BLADE.size + 8 * 16
_NORMAL = struct.Struct("<12d")  # and its covariance
_UNKNOWN_BLADE = np.diag([UNKNOWN_VARIANCE] * 4)


@dataclass(frozen=True, slots=True)
class RawRotationStates:
    """The rotors of a window, as in a message.

    Attributes:
        header: of the array; its frame is that of the first state if the array has none.
        window_end, window_length, event_count: as of the message.
        estimates: those with a valid covariance, see `read_rotation_states`.
        unsound: number of the others.
    """

    header: Header
    window_end: int
    window_length: int
    event_count: int
    estimates: list[RotorEstimate]
    unsound: int


def read_rotation_states(data: bytes) -> RawRotationStates:
    """Read a serialised RotationStateArray.

    States of invalid covariance are left out: it must be bounded and symmetric, with no variance
    below 0 but for -1, which means unknown, and no correlation beyond 1.

    Raises:
        EventError: if the bytes end too early.
    """
    reader = CdrReader(data, RotationStateArray)
    sec, nanosec, frame_id = reader.header()
    end_us, length_us, events, count = reader.numbers(_ARRAY, 8)
    frames: list[str] = []
    numbers: list[int] = []
    blocks: list[memoryview] = []
    for _ in range(count):
        frames.append(reader.header()[2])
        numbers.extend(reader.numbers(_U32, 4))
        blocks.append(_fixed_fields(reader))
    states = np.frombuffer(b"".join(blocks), _STATE, count)
    estimates = _estimates(np.array(numbers, np.uint32), states) if count else []
    stamp = Time(sec=sec, nanosec=nanosec)
    header = Header(stamp=stamp, frame_id=frame_id or "".join(frames[:1]))
    return RawRotationStates(header, end_us, length_us, events, estimates, count - len(estimates))


class SerialisedStates:
    """Fused rotors, serialised; each is written once, however many topics it is for.

    Args:
        states: all rotors of one time.
        header: its stamp is the ROS time for which they hold.
    """

    def __init__(self, states: Sequence[RotorState], header: Header) -> None:
        self._states = states
        self._header = padded(header_bytes(header), 4)
        self._bodies: dict[int, bytes] = {}

    def array(self, end_us: int, length_us: int, events: int) -> bytes:
        """All of them, as a RotationStateArray.

        Args:
            end_us, length_us: window in sensor time, see `RotationStateArray`.
            events: of the window.
        """
        count = len(self._states)
        data = padded(self._header, 8) + _ARRAY.pack(end_us, length_us, events, count)
        for state in self._states:
            data += self._head_of(state, len(data)) + self._body_of(state)
        return LITTLE_ENDIAN_CDR + data

    def single(self, state: RotorState) -> bytes:
        """One of them, as a RotationState."""
        return LITTLE_ENDIAN_CDR + self._head_of(state, 0) + self._body_of(state)

    def _head_of(self, state: RotorState, place: int) -> bytes:
        """Header and number, and what aligns a state that is written at a place."""
        head = self._header + _U32.pack(state.id)
        return head + bytes(-(place + len(head)) % 8)

    def _body_of(self, state: RotorState) -> bytes:
        body = self._bodies.get(state.id)
        if body is None:
            body = self._bodies[state.id] = _body(state)
        return body


def serialised_estimates(
    estimates: Sequence[RotorEstimate], header: Header, end_us: int, length_us: int, events: int
) -> bytes:
    """All rotors of a window, as a detector measured them, as a RotationStateArray.

    Args:
        estimates: the rotors; none gives an empty array.
        header: its stamp is the ROS time of the window's end.
        end_us, length_us, events: as of `SerialisedStates.array`.
    """
    return SerialisedStates(list(map(_state_of, estimates)), header).array(
        end_us, length_us, events
    )


def _fixed_fields(reader: CdrReader) -> memoryview:
    """Fields of fixed size of a state; those after them are passed over."""
    block = reader.block(_STATE.itemsize, 8)
    (blades,) = _U32.unpack_from(block, _STATE.itemsize - _U32.size)
    reader.block(_BLADE_BYTES * blades + _U32.size, 1)  # and the group
    reader.skip_text()  # class
    reader.skip_text()  # track
    reader.block(_NORMAL.size, 8)
    return block


def _are_covariances(covariances: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n,) whether each of (n, 6, 6) can be the covariance of a rotor."""
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    size = np.abs(covariances)
    # The root of what is no variance is no number, and nothing is within such a bound.
    with np.errstate(invalid="ignore"):
        most = np.where(variances == UNKNOWN_VARIANCE, _ANY_DEVIATION, np.sqrt(variances))
        bounds = np.minimum(most[:, :, None] * most[:, None, :], _LARGEST_VARIANCE)
        is_bounded = size <= (1.0 + _ROUNDING) * bounds
        off = np.abs(covariances - covariances.transpose(0, 2, 1))
        result: NDArray[np.bool_] = (is_bounded & (off <= _ROUNDING * size)).all(axis=(1, 2))
    return result


def _estimates(numbers: NDArray[np.uint32], states: NDArray) -> list[RotorEstimate]:
    """The estimates in (n,) states, without those whose covariance is invalid."""
    is_sound = _are_covariances(states["covariance"])
    numbers, states = numbers[is_sound], states[is_sound]
    variances = states["covariance"][:, [2, 3], [2, 3]]
    center_std = np.sqrt(np.where(variances < 0.0, np.inf, variances))
    columns = [numbers, *(states[name] for name in _ESTIMATE), center_std]
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [RotorEstimate(*map(_as_field, row)) for row in rows]


def _as_field(value: Any) -> Any:
    """A value of a column as estimates have it: pairs are tuples."""
    return tuple(value) if isinstance(value, list) else value


def _state_of(estimate: RotorEstimate) -> RotorState:
    """An estimate with what is not estimated: unknown variances, no motion of the blades' tips."""
    deviations = (estimate.angle_std_rad, estimate.rpm_std, *estimate.center_std)
    variances = [one**2 if math.isfinite(one) else UNKNOWN_VARIANCE for one in deviations]
    return RotorState(
        id=estimate.id,
        t_us=estimate.t_us,
        window_us=estimate.window_us,
        events=estimate.events,
        rpm=estimate.rpm,
        rpm_std=estimate.rpm_std,
        rpm_rate=0.0,
        angle_rad=estimate.angle_rad,
        turns=estimate.turns,
        blade_count=estimate.blade_count,
        center=estimate.center,
        axes=estimate.axes,
        tilt_rad=estimate.tilt_rad,
        velocity=estimate.velocity,
        covariance=np.diag([*variances, UNKNOWN_VARIANCE, UNKNOWN_VARIANCE]),
        confidence=estimate.confidence,
        sources=Source.ROTATION_DETECTOR,
        blades=_blades(estimate),
    )


def _blades(estimate: RotorEstimate) -> tuple[BladeState, ...]:
    count = estimate.blade_count
    angles = (estimate.angle_rad + TURN_RAD * np.arange(count) / max(count, 1)) % TURN_RAD
    x, y = estimate.ellipse.image_point(1.0, angles)
    tips = zip(angles.tolist(), x.tolist(), y.tolist(), strict=True)
    return tuple(
        BladeState(index, angle, (x, y), (0.0, 0.0), _UNKNOWN_BLADE)
        for index, (angle, x, y) in enumerate(tips)
    )


def _body(state: RotorState) -> bytes:
    """A state from its window's end on, to be written where numbers of eight bytes may be."""
    parts = [
        _BEFORE_COVARIANCE.pack(
            state.t_us,
            state.window_us,
            state.events,
            state.rpm,
            state.rpm_std,
            state.rpm_rate,
            state.rpm * RAD_S_PER_RPM,
            state.rpm_std * RAD_S_PER_RPM,
            state.angle_rad,
            _deviation(state.covariance[0, 0]),
            state.turns,
            state.blade_count,
            *state.center,
            *state.axes,
            state.tilt_rad,
            *state.velocity,
        ),
        state.covariance.tobytes(),
        _AFTER_COVARIANCE.pack(state.confidence, state.sources, len(state.blades)),
    ]
    for blade in state.blades:
        parts.append(_BLADE.pack(blade.index, blade.angle_rad, *blade.tip, *blade.velocity))
        parts.append(blade.covariance.tobytes())
    parts.append(_U32.pack(state.group))
    parts += [padded(text_bytes(one), 4) for one in (state.class_id, state.track_id)]
    # The group and the strings end where numbers of four bytes may be.
    normal = _NORMAL.pack(*state.normal, *state.normal_covariance)
    return padded(b"".join(parts), 8) + normal


def _deviation(variance: float) -> float:
    return math.inf if variance == UNKNOWN_VARIANCE else math.sqrt(variance)
