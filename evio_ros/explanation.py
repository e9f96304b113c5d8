"""Why no rotor was found in a place: what was seen there, and what ended the search.

A stage that rejects a place or a candidate returns a `Rejection`, which only holds numbers. The
text of an `Explanation` is formatted when it is read.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = [
    "RECENT_US",
    "Box",
    "Explanation",
    "Reason",
    "Rejection",
    "furthest",
    "in_order",
    "recent",
    "rotors_in_view",
    "with_explanation",
    "without_place",
]

RECENT_US = 2_000_000
"""Age up to which an explanation outranks a later search of its place that ended at an earlier
stage: more than twice the longest time between two searches of an active place."""
Box = tuple[int, int, int, int]
"""A place in the image, (x0, y0, x1, y1) in pixels, x1 and y1 exclusive."""

_MOST_PLACES = 8
"""Number of places kept: those searched last."""
_CONVINCING_WEIGHT = 3.0
"""Weight of an event in a place where something turned for some time; others have weight 1."""
_WHOLE = "Without --causal, evio analyze searches short recordings for such rotors too."


class Reason(Enum):
    """What ended the search for a rotor, in the order of the stages of the search.

    Attributes:
        text: what was seen; a format string for the numbers of an explanation.
        advice: what may help; empty if nothing does.
    """

    NO_EVENTS = (
        "there are no events",
        "Is the lens covered, or does the region of interest miss the rotor?",
    )
    FAINT = (
        "too few events: the busiest spot has {value:.2g} events/s, {limit:.2g} are needed",
        "It is too dark, has too little contrast, or turns too slowly for a live camera.",
    )
    NOT_OUTSTANDING = (
        "no spot stands out from the noise: the busiest has {value:.0%} of the events needed",
        "More light or more contrast helps; if the rotor fills the view, move back.",
    )
    FAINT_REGION = (
        "too few events: the busiest place has {value:.2g} events/s, {limit:.2g} are needed",
        "It is too dark, has too little contrast, or turns too slowly for a live camera.",
    )
    SMALL = (
        "no active place is large enough: the largest has {value:.0f} cells, {limit:.0f} are "
        "needed",
        "Bring a small rotor closer; isolated noisy pixels do no harm.",
    )
    SHORT = (
        "there are only {value:.2g} s of events, {limit:.2g} s are needed",
        "Record at least {limit:.2g} s.",
    )
    BRIEF = (
        "was active for only {value:.2g} s, {limit:.2g} s are needed",
        "Record at least {limit:.2g} s of it.",
    )
    COARSE_TIMES = (
        "time stamps are {value:.3g} ms apart, too coarse to track a rotor: at most {limit:.3g} ms "
        "are allowed",
        "Write the camera's own time stamps; from video, interpolate more frames.",
    )
    NOT_TURNING = (
        "has the outline of a disc, but nothing turns in it: the best speed has {value:.2g} times "
        "the power of noise or of the opposite sense, {limit:g} times are needed",
        "",
    )
    NO_RHYTHM = (
        "is not periodic: the strongest line of the spectrum has {value:.2g} times the power "
        "around it, {limit:g} times are needed",
        "",
    )
    SLOW = (
        "changes slowly, most strongly at {value:.2g} Hz; below {limit:.2g} Hz a periodic change "
        "cannot be distinguished from a single movement",
        _WHOLE,
    )
    NO_PATH = (
        "no rotation explains its events over the whole recording: the log likelihood gains "
        "{value:.2g} per event, {limit:g} is needed",
        "",
    )
    MOVED_PAST = (
        "makes at most {value:.2f} turns in the whole recording: it moves past rather than turns",
        "",
    )
    UNLIKE = (
        "does not look the same after each turn: one half of the recording predicts {value:.0%} "
        "of the other, {limit:.0%} is needed",
        "",
    )
    FEW_CELLS = (
        "only {value:.0f} cells are periodic{rhythm}, {limit:.0f} are needed",
        "Bring it closer.",
    )
    NO_HUB = (
        "its phases{rhythm} do not wind about a hub: coherence {value:.2f}, {limit:.2g} is needed",
        "",
    )
    BOTH_SENSES = (
        "its phases{rhythm} wind {value:.2g} times as much in one sense as in the other, {limit:g} "
        "times are needed: it sways or shakes rather than turns",
        "",
    )
    FLICKER = (
        "all of it changes at the same time{rhythm}, as with a lamp, a shaking camera or a "
        "converted video: {value:.0%} of the power has the same phase",
        "",
    )
    ONE_SIDED = (
        "winds about a hub outside of it: one-sidedness {value:.2f}, at most {limit:g} is allowed",
        "The whole disc must be visible.",
    )
    CUT_OFF = (
        "seems to turn{speed}, but is cut off by the border of the view, so its hub is unknown",
        "The whole disc must be visible.",
    )
    EDGE_ON = (
        "winds on a disc with an axis ratio of {value:.1f}, at most {limit:g} is allowed",
        "View the disc less obliquely.",
    )
    TOO_FAST = (
        "winds at {value:.4g} turns/s or more, the search ends at {limit:g} turns/s",
        "Raise the parameter acquisition.maximum_speed_hz.",
    )
    PART_OF_TRACKED = (
        "winds about the hub of a rotor that is already tracked",
        "",
    )
    FEW_EVENTS = (
        "has only {value:.0f} events, {limit:.0f} are needed",
        "More light, more contrast or a more sensitive camera setting helps.",
    )
    UNEVEN = (
        "seems to turn{speed}, but not steadily enough: the derotated pattern has {value:.2g} "
        "times the power of noise, {limit:g} times are needed",
        "",
    )
    MIRROR_IMAGE = (
        "seems to turn{speed}, but with such coarse time stamps a faster rotor would look the "
        "same: contrast {value:.2g}, {limit:.2g} is needed to distinguish them",
        "Write the camera's own time stamps; from video, interpolate more frames.",
    )
    FEW_SLICES = (
        "seems to turn{speed}, but was tracked for only {value:.0f} slices, {limit:.0f} are needed",
        "Record longer.",
    )
    LITTLE_GAIN = (
        "seems to turn{speed}, but this may be chance: the log likelihood gains {value:.3g}, "
        "{limit:g} is needed",
        "More light, more contrast or a longer recording helps.",
    )
    NO_MATCH = (
        "seems to turn{speed}, but its pattern changes meanwhile: the match is {value:.2f} of a "
        "perfect one, {limit:g} is needed",
        "",
    )
    LOW_CONTRAST = (
        "seems to turn{speed}, but its pattern has too little contrast: the log likelihood gains "
        "{value:.2g} per event, {limit:g} is needed",
        "More light or more contrast helps.",
    )
    NOT_FOLLOWED = (
        "turns{speed}, but could not be tracked: it was not seen for the last {value:.2g} s",
        _WHOLE,
    )
    STOOD_STILL = (
        "seemed to turn{speed} and then stopped",
        _WHOLE,
    )
    UNSURE_SPEED = (
        "turns{speed}, but its speed is known only to {value:.1%}, {limit:.0%} is needed: it "
        "changes, or there are few events",
        _WHOLE,
    )
    WRONG_DISC = (
        "turns{speed}, but its disc does not explain the events: they scatter {value:.3g} times "
        "as much as expected, at most {limit:g} times are allowed",
        "Two overlapping rotors, or one that moves or swivels, look like this.",
    )
    JERKY = (
        "seems to turn{speed}, but in jerks: stiffness {value:.2g}, {limit:g} is needed",
        "",
    )
    RINGS_DISAGREE = (
        "seems to turn{speed}, but its rings differ in phase by {value:.2g} rad, at most {limit:g} "
        "is allowed",
        "The disc bends, moves, or is viewed too obliquely.",
    )
    EITHER_WAY = (
        "turns or sways: rotation in the opposite sense explains {value:.0%} as much, at most "
        "{limit:.0%} is allowed",
        "",
    )
    AMBIGUOUS = (
        "turns, but its speed is ambiguous: another number of turns explains {value:.0%} as much",
        "A mark on one blade helps.",
    )
    NOT_ROUND = (
        "seems to turn{speed}, but made only {value:.2f} turns; one whole turn must be seen",
        "At this speed it must turn for {needed_s:.2g} s.",
    )
    TOO_SLOW = (
        "seems to turn{speed}, but made only {value:.2f} turns in the time searched; one whole "
        "turn must be seen",
        f"{_WHOLE} Or raise the parameter acquisition_us.",
    )
    LOST = (
        "was tracked{speed} and then lost for {value:.2g} s, at most {limit:.2g} s are allowed",
        "",
    )
    AT_REST = (
        "was tracked and then stood still for {value:.2g} s; tracking ends after {limit:.2g} s",
        "",
    )
    DOUBTFUL = (
        "was tracked{speed}, but its disc failed to explain the events for {value:.2g} s, at most "
        "{limit:.2g} s are allowed",
        "",
    )

    def __init__(self, text: str, advice: str) -> None:
        self.text = text
        self.advice = advice

    @property
    def stage(self) -> int:
        """The stage at which the search ended: index of the reason, from 0."""
        return list(Reason).index(self)

    @property
    def is_of_view(self) -> bool:
        """Whether it concerns the whole view, in which no place is active."""
        return self.stage < Reason.BRIEF.stage

    @property
    def is_settled_by_looking_back(self) -> bool:
        """Whether a search of the whole recording supersedes it, which finds slow rotors too."""
        return _WHOLE in self.advice or self in (Reason.FAINT, Reason.FAINT_REGION)

    @property
    def is_convincing(self) -> bool:
        """Whether a rotation was found that is unlikely to be chance."""
        return self.stage > Reason.LOW_CONTRAST.stage


@dataclass(frozen=True, slots=True)
class Rejection:
    """The decision to reject a place or a candidate.

    Attributes:
        reason: the criterion that failed.
        value: the measured number, in the unit given in the reason's text.
        limit: the threshold for it.
        line_hz: frequency of the periodic change in Hz; NaN if there is none.
        speed_hz: mechanical speed in turns/s, signed; NaN if unknown.
    """

    reason: Reason
    value: float = math.nan
    limit: float = math.nan
    line_hz: float = math.nan
    speed_hz: float = math.nan


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why no rotor was found in a place; `str` formats it as a sentence.

    Attributes:
        rejection: what ended the search.
        t_us: end of the searched interval, sensor time in µs.
        span_us: length of the searched interval in µs.
        box: the place.
        rate_hz: its event rate in events/s; NaN if not counted.
    """

    rejection: Rejection
    t_us: int
    span_us: int
    box: Box
    rate_hz: float = math.nan

    @property
    def reason(self) -> Reason:
        """What ended the search."""
        return self.rejection.reason

    @property
    def place(self) -> str:
        """Position, size and event rate of the place, as text."""
        x0, y0, x1, y1 = self.box
        middle = f"at ({(x0 + x1) // 2}, {(y0 + y1) // 2})"
        where = "in the whole view" if self.reason.is_of_view else middle
        rate = "" if math.isnan(self.rate_hz) else f", {_with_prefix(self.rate_hz)}ev/s"
        return f"{where}, {x1 - x0}x{y1 - y0} px{rate}"

    @property
    def what(self) -> str:
        """What ended the search, as text."""
        return self.reason.text.format(**self._numbers())

    @property
    def advice(self) -> str:
        """What may help, as text; empty if nothing does."""
        return self.reason.advice.format(**self._numbers())

    def __str__(self) -> str:
        return f"{self.place}: {self.what}. {self.advice}".rstrip()

    def is_at(self, box: Box) -> bool:
        """Whether the centre of one of the two boxes lies in the other."""
        return _covers(self.box, box) or _covers(box, self.box)

    def _numbers(self) -> dict[str, float | str]:
        rejection = self.rejection
        line_hz, rpm = rejection.line_hz, 60 * rejection.speed_hz
        turned = max(rejection.value, 1e-9)
        return {
            "value": rejection.value,
            "limit": rejection.limit,
            "rhythm": "" if math.isnan(line_hz) else f" at {line_hz:.4g} Hz",
            "speed": "" if math.isnan(rpm) else f" at about {rpm:.3g} rpm",
            "needed_s": 1e-6 * self.span_us * rejection.limit / turned,
        }


def furthest(rejections: Iterable[Rejection]) -> Rejection:
    """The rejection of the latest stage, the last one if there are several; at least one needed."""
    return max(reversed(list(rejections)), key=lambda rejection: rejection.reason.stage)


def with_explanation(known: tuple[Explanation, ...], new: Explanation) -> tuple[Explanation, ...]:
    """The explanations of all places after a new one for a place.

    The new explanation replaces the old ones of its place, unless one of a later stage is recent.
    The places searched last are kept.
    """
    same_place = [old for old in known if old.is_at(new.box)]
    better = [
        old
        for old in same_place
        if old.reason.stage > new.reason.stage and new.t_us - old.t_us < RECENT_US
    ]
    if better:
        return known
    others = [old for old in known if old not in same_place]
    latest = sorted((*others, new), key=lambda each: each.t_us)[-_MOST_PLACES:]
    return tuple(latest)


def without_place(known: tuple[Explanation, ...], box: Box) -> tuple[Explanation, ...]:
    """The explanations of all places except one, in which a rotor was found."""
    return tuple(old for old in known if not old.is_at(box))


def in_order(explanations: Sequence[Explanation]) -> tuple[Explanation, ...]:
    """Most relevant first: by the event rate of all places with the same reason, then by place."""
    weights: dict[Reason, float] = defaultdict(float)
    for each in explanations:
        weights[each.reason] += _weight(each)
    return tuple(
        sorted(
            explanations,
            key=lambda each: (weights[each.reason], each.reason.stage, _weight(each)),
            reverse=True,
        )
    )


def recent(explanations: Sequence[Explanation]) -> list[Explanation]:
    """Explanations less than `RECENT_US` older than the newest, in the same order."""
    latest_us = max((each.t_us for each in explanations), default=0)
    return [each for each in explanations if latest_us - each.t_us < RECENT_US]


def rotors_in_view(count: int, explanations: Sequence[Explanation] = ()) -> str:
    """The number of rotors in view, as text; if there are none, with the first explanation."""
    view = f"{count} rotor{'' if count == 1 else 's'} in view"
    return view if count or not explanations else f"{view}; most likely reason: {explanations[0]}"


def _weight(explanation: Explanation) -> float:
    # Explanations that concern the whole view come last.
    is_counted = not (math.isnan(explanation.rate_hz) or explanation.reason.is_of_view)
    rate_hz = explanation.rate_hz if is_counted else 0.0
    return rate_hz * (_CONVINCING_WEIGHT if explanation.reason.is_convincing else 1.0)


def _covers(box: Box, other: Box) -> bool:
    """Whether a box contains the centre of another."""
    x, y = (other[0] + other[2]) / 2, (other[1] + other[3]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _with_prefix(number: float) -> str:
    """A number with three digits and an SI prefix."""
    for scale, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * scale:
            return f"{number / scale:.3g} {prefix}"
    return f"{number:.3g} "
