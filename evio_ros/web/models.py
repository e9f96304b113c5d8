"""The API's answers: the models of its OpenAPI description."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field

from evio_ros.web.data_source import DashboardSource, PlaybackState
from evio_ros.web.live_view import LiveView, NodeReport, ShownRotor

__all__ = [
    "AngleTimeModel",
    "DoneModel",
    "ParameterModel",
    "RotorModel",
    "SpectrumModel",
    "StatusModel",
    "status_of",
]

_MISSED = 2.0
"""So many windows more than usual may be late in a slow replay."""


class _Mirror(BaseModel):
    """A model that `model_validate` makes of anything with attributes of the same names."""

    model_config = ConfigDict(from_attributes=True)


class RotorModel(BaseModel):
    """One rotor, in the newest window in which it was seen."""

    id: int = Field(description="Number of the rotor, kept from window to window.")
    rpm: float = Field(description="Mechanical speed, positive looks clockwise [turns/min].")
    rpm_std: float | None = Field(description="Standard deviation of rpm; null for unknown.")
    rpm_rate: float = Field(description="Change of rpm [turns/min/s].")
    turns: float = Field(description="Turns since the rotor was first seen, signed.")
    confidence: float = Field(description="Probability that rpm is right to 1 %.")
    blade_count: int = Field(description="Blades; 1 for a single mark, 0 unknown.")
    angle: float = Field(description="Angle of the reference blade on the disc [rad].")
    center_x: float = Field(description="Hub [px].")
    center_y: float = Field(description="Hub [px].")
    axis_major: float = Field(description="Longer semi-axis of the disc's ellipse [px].")
    axis_minor: float = Field(description="Shorter semi-axis [px].")
    tilt: float = Field(description="Direction of the longer axis [rad].")
    group: int = Field(description="Vehicle whose rotors move together; 0 for none.")
    class_id: str = Field(description="Class of the object seen there; empty for none.")
    track_id: str = Field(description="That object's track; empty for none.")
    is_predicted: bool = Field(description="Whether no measurement took part.")
    events: int = Field(description="Events of the window that belong to the rotor.")

    @classmethod
    def of(cls, rotor: ShownRotor) -> RotorModel:
        """A rotor's model."""
        one = rotor.estimate
        return cls(
            id=one.id,
            rpm=one.rpm,
            rpm_std=one.rpm_std if math.isfinite(one.rpm_std) else None,
            rpm_rate=rotor.rpm_rate,
            turns=one.turns,
            confidence=one.confidence,
            blade_count=one.blade_count,
            angle=one.angle_rad,
            center_x=one.center[0],
            center_y=one.center[1],
            axis_major=one.axes[0],
            axis_minor=one.axes[1],
            tilt=one.tilt_rad,
            group=rotor.group,
            class_id=rotor.class_id,
            track_id=rotor.track_id,
            is_predicted=rotor.is_predicted,
            events=one.events,
        )


class ReportModel(_Mirror):
    """What a node reports about itself."""

    name: str
    level: str = Field(description="ok, warn, error or stale.")
    message: str
    hardware_id: str
    values: dict[str, str]


class PlaybackModel(_Mirror):
    """The state of a replay."""

    source: str
    is_seekable: bool
    is_paused: bool
    position_us: int
    duration_us: int | None
    is_at_end: bool = Field(
        description="Whether the recording has ended and nothing more can come."
    )
    rate: float | None = Field(description="1.0 is real time, 0.0 as fast as possible.")


class DetectionModel(_Mirror):
    """One box of the object detector."""

    center: tuple[float, float] = Field(description="Middle of the box (x, y) [px].")
    size: tuple[float, float] = Field(description="Width and height of the box [px].")
    score: float
    class_id: str
    track_id: str


class StatusModel(BaseModel):
    """Everything at this moment."""

    title: str = Field(description="The source that is shown.")
    problem: str = Field(description="What is wrong, in words; empty if everything works.")
    t_us: int | None = Field(description="End of the newest window, sensor time [us].")
    stamp_s: float | None = Field(description="The same as Unix time [s].")
    age_s: float | None = Field(description="How long ago the newest window came [s].")
    is_stale: bool = Field(
        description="Whether no windows arrive, so that the rotors are no longer valid."
    )
    event_rate_hz: float | None = Field(description="Events a second of sensor time.")
    width: int | None = Field(description="Columns of the sensor [px].")
    height: int | None = Field(description="Rows of the sensor [px].")
    rotors: list[RotorModel]
    detections: list[DetectionModel]
    health: list[ReportModel]
    playback: PlaybackModel | None


class ParameterModel(_Mirror):
    """One parameter of a node."""

    node: str
    name: str
    value: bool | int | float | str
    doc: str
    minimum: float | None
    maximum: float | None
    is_read_only: bool


class DoneModel(BaseModel):
    """What a command has done, in words."""

    message: str


class AngleTimeModel(BaseModel):
    """Events of a rotor's disc over time and angle."""

    counts: list[list[int]] = Field(description="By time bin, then angle bin of [0, 2 pi).")
    start_us: int
    end_us: int


class SpectrumModel(BaseModel):
    """Power of the event rate on a rotor's disc."""

    frequency_hz: list[float]
    power: list[float] = Field(description="1 for events without any pattern.")
    blade_pass_hz: float | None


def status_of(source: DashboardSource, stale_after_s: float) -> StatusModel:
    """The status of a source, by its newest window."""
    view = source.view
    state, age_s, size = view.state, view.state_age_s(), view.size
    playback = source.playback()
    is_stale = age_s is None or age_s > stale_after_s + _MISSED * _step_s(view, playback)
    if playback is not None and playback.is_paused:
        is_stale = state is None
    reports = view.reports()
    is_missed = is_stale and not (playback is not None and playback.is_at_end)
    rotors = state.rotors if state is not None and not is_stale else ()
    return StatusModel(
        title=source.title,
        problem=_problem(is_missed, age_s, reports),
        t_us=state.t_us if state else None,
        stamp_s=state.stamp_s if state else None,
        age_s=age_s,
        is_stale=is_stale,
        event_rate_hz=view.event_rate_hz(),
        width=size.width if size else None,
        height=size.height if size else None,
        rotors=[RotorModel.of(rotor) for rotor in rotors],
        detections=[
            DetectionModel.model_validate(one) for one in (() if is_stale else view.detections)
        ],
        health=[ReportModel.model_validate(report) for report in reports],
        playback=PlaybackModel.model_validate(playback) if playback is not None else None,
    )


def _step_s(view: LiveView, playback: PlaybackState | None) -> float:
    """Time from window to window in a replay slower than real time; 0.0 if unknown."""
    _, recent = view.states_after(view.states - 2)
    if playback is None or not playback.rate or len(recent) < 2:
        return 0.0
    step_us = recent[1].t_us - recent[0].t_us
    return max(0.0, 1e-6 * step_us / playback.rate) if playback.rate < 1.0 else 0.0


def _problem(is_missed: bool, age_s: float | None, reports: list[NodeReport]) -> str:
    """What a person should know first."""
    errors = [f"{one.name.partition(':')[0]}: {one.message}" for one in reports]
    errors = [text for text, one in zip(errors, reports, strict=True) if one.level == "error"]
    if errors:
        return "; ".join(errors)
    if age_s is None:
        return "No rotation states yet: is the graph running?"
    if is_missed:
        return (
            f"No rotation states for {age_s:.0f} s: has the graph or the recording ended, "
            "or is measuring too slow?"
        )
    return ""
