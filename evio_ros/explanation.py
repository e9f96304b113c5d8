"""Why no rotor was found in some place: what was seen there, and what stopped the search.

Whoever rejects a place or a candidate says so by a `Rejection`, which costs no more than its
numbers. Words are made of an `Explanation` only when somebody reads it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = [
    "OF_LATE_US",
    "Box",
    "Explanation",
    "Reason",
    "Rejection",
    "furthest",
    "in_order",
    "of_late",
    "rotors_in_view",
    "with_explanation",
    "without_place",
]

OF_LATE_US = 2_000_000
"""More than twice the longest wait from one search of an active place to the next: what was said
longer ago gives way to a later search of the place, even one that came less far."""
Box = tuple[int, int, int, int]
"""A place in the image, (x0, y0, x1, y1) in pixels, the last ones not included."""

_MOST_PLACES = 8
"""Of more places those are kept that were searched last."""
_CONVINCING_WEIGHT = 3.0
"""Where something turned for some time, an event counts for so many of other places."""
_WHOLE = "Short recordings are searched for such ones too: evio analyze without --causal."


class Reason(Enum):
    """What stopped the search for a rotor; the farther down, the nearer it came to one.

    Attributes:
        text: what was seen, to be formatted with the numbers of an explanation.
        advice: what may help; empty where nothing does.
    """

    NO_EVENTS = (
        "no events came",
        "Is the lens covered, or the region of interest beside everything?",
    )
    FAINT = (
        "too few events: the busiest spot has {value:.2g} a second, {limit:.2g} a second are "
        "needed",
        "It is too dim, has too little contrast, or turns too slowly for a live camera.",
    )
    NOT_OUTSTANDING = (
        "no place stands out of the noise: the busiest spot has {value:.0%} of the events that it "
        "needs for that",
        "More light or more contrast helps; where the rotor fills the view, step back.",
    )
    FAINT_REGION = (
        "too few events: the busiest place has {value:.2g} a second, {limit:.2g} are needed",
        "It is too dim, has too little contrast, or turns too slowly for a live camera.",
    )
    SMALL = (
        "no place is large enough: {limit:.0f} active cells must lie together, {value:.0f} do",
        "A small rotor must be brought nearer; single pixels that fire by themselves do no harm.",
    )
    SHORT = (
        "seen for {value:.2g} s only, {limit:.2g} s are needed",
        "Record at least {limit:.2g} s.",
    )
    BRIEF = (
        "was active for {value:.2g} s only, {limit:.2g} s are needed",
        "Record at least {limit:.2g} s of it.",
    )
    COARSE_TIMES = (
        "time stamps come every {value:.3g} ms, too seldom to follow anything that turns: "
        "{limit:.3g} ms is the most",
        "Write the camera's own time stamps; from video, interpolate more frames.",
    )
    NOT_TURNING = (
        "has the outline of a disc, in which nothing turns: the best speed has {value:.2g} times "
        "the power of noise or of the other sense, {limit:g} times are needed",
        "",
    )
    NO_RHYTHM = (
        "nothing comes back evenly: the strongest line of the spectrum has {value:.2g} times the "
        "power beside it, {limit:g} times are needed",
        "",
    )
    SLOW = (
        "changes slowly, most of all at {value:.2g} Hz; below {limit:.2g} Hz what comes back can't "
        "be told from what moves but once",
        _WHOLE,
    )
    NO_PATH = (
        "no turning explains its events over the whole recording: an event gains {value:.2g} in "
        "log likelihood, {limit:g} is needed",
        "",
    )
    MOVED_PAST = (
        "turns by no more than {value:.2f} over the whole recording: it moves past, and does not "
        "come round",
        "",
    )
    UNLIKE = (
        "does not look the same when it comes round: one half of the recording foretells "
        "{value:.0%} of the other, {limit:.0%} is needed",
        "",
    )
    FEW_CELLS = (
        "only {value:.0f} cells keep the rhythm{rhythm}, {limit:.0f} are needed",
        "Bring it nearer.",
    )
    NO_HUB = (
        "phases{rhythm} wind about no hub: coherence {value:.2f}, {limit:.2g} is needed",
        "",
    )
    BOTH_SENSES = (
        "phases{rhythm} wind {value:.2g} times as much in one sense as in the other, {limit:g} "
        "times are needed: it sways or shakes and does not turn",
        "",
    )
    FLICKER = (
        "all of it changes at once{rhythm}, as a lamp, a shaking camera or a converted video does: "
        "{value:.0%} of the power has the same phase",
        "",
    )
    ONE_SIDED = (
        "winds about a hub that lies beside it: {value:.2f} one-sided, {limit:g} is allowed",
        "The whole disc must be seen.",
    )
    CUT_OFF = (
        "seems to turn{speed}, but the border of the view cuts it off: its hub is not known",
        "The whole disc must be seen.",
    )
    EDGE_ON = (
        "winds on a disc {value:.1f} times as long as wide, {limit:g} times is the most",
        "Look at the disc from farther in front.",
    )
    TOO_FAST = (
        "winds with {value:.4g} turns a second or more, up to {limit:g} are searched for",
        "Raise the parameter acquisition.maximum_speed_hz.",
    )
    PART_OF_TRACKED = (
        "winds about the hub of a rotor that is tracked already",
        "",
    )
    FEW_EVENTS = (
        "has {value:.0f} events, {limit:.0f} are needed",
        "More light, more contrast or a more sensitive setting of the camera helps.",
    )
    UNEVEN = (
        "seems to turn{speed}, but not evenly enough: the pattern turned back has {value:.2g} "
        "times the power of noise, {limit:g} times are needed",
        "",
    )
    MIRROR_IMAGE = (
        "seems to turn{speed}, but as time stamps come seldom a faster rotor would look the same: "
        "contrast {value:.2g}, {limit:.2g} is needed to tell them apart",
        "Write the camera's own time stamps; from video, interpolate more frames.",
    )
    FEW_SLICES = (
        "seems to turn{speed}, and was followed for {value:.0f} slices where {limit:.0f} are "
        "needed",
        "Record for longer.",
    )
    LITTLE_GAIN = (
        "seems to turn{speed}, but that may be chance: the log likelihood gains {value:.3g}, "
        "{limit:g} is needed",
        "More light, more contrast or a longer recording helps.",
    )
    NO_MATCH = (
        "seems to turn{speed}, but its pattern changes meanwhile: {value:.2f} of a perfect match, "
        "{limit:g} is needed",
        "",
    )
    LOW_CONTRAST = (
        "seems to turn{speed}, but its pattern hardly shows: an event gains {value:.2g} in log "
        "likelihood, {limit:g} is needed",
        "More light or more contrast helps.",
    )
    NOT_FOLLOWED = (
        "turns{speed}, but could not be followed: it was not seen for the last {value:.2g} s",
        _WHOLE,
    )
    STOOD_STILL = (
        "seemed to turn{speed} and then to stand still",
        _WHOLE,
    )
    UNSURE_SPEED = (
        "turns{speed}, but its speed is known to {value:.1%} only, {limit:.0%} is needed: it "
        "changes, or events are few",
        _WHOLE,
    )
    WRONG_DISC = (
        "turns{speed}, but its disc does not explain the events: they scatter {value:.3g} times "
        "as much as they should, {limit:g} times is the most",
        "Two rotors that overlap, or one that moves or swivels, look like that.",
    )
    JERKY = (
        "seems to turn{speed}, but in jerks: stiffness {value:.2g}, {limit:g} is needed",
        "",
    )
    RINGS_DISAGREE = (
        "seems to turn{speed}, but its rings disagree by {value:.2g} rad, {limit:g} is the most",
        "The disc bends, moves, or is seen too obliquely.",
    )
    EITHER_WAY = (
        "turns, or sways: a turn in the other sense explains {value:.0%} as much, {limit:.0%} is "
        "the most",
        "",
    )
    AMBIGUOUS = (
        "turns, but how often can't be told: another number of turns explains {value:.0%} as much",
        "A mark on one blade helps.",
    )
    NOT_ROUND = (
        "seems to turn{speed}, but came round {value:.2f} times only; a whole turn must be seen",
        "At that speed it must turn for {needed_s:.2g} s.",
    )
    TOO_SLOW = (
        "seems to turn{speed}, but came round {value:.2f} times in the time that is searched; a "
        "whole turn must be seen",
        f"{_WHOLE} Or raise the parameter acquisition_us.",
    )
    LOST = (
        "was followed{speed} and then lost for {value:.2g} s, {limit:.2g} s are allowed",
        "",
    )
    AT_REST = (
        "was followed and then stood still for {value:.2g} s, which ends after {limit:.2g} s",
        "",
    )
    DOUBTFUL = (
        "was followed{speed}, but its disc failed to explain the events for {value:.2g} s, "
        "{limit:.2g} s are allowed",
        "",
    )

    def __init__(self, text: str, advice: str) -> None:
        self.text = text
        self.advice = advice

    @property
    def stage(self) -> int:
        """How far the search had come: the number of the reason, from 0."""
        return list(Reason).index(self)

    @property
    def is_of_view(self) -> bool:
        """Whether it is said of the whole view, in which no place is active."""
        return self.stage < Reason.BRIEF.stage

    @property
    def is_settled_by_looking_back(self) -> bool:
        """Whether looking at a whole recording tells more, as it finds what is slow or slows."""
        return _WHOLE in self.advice or self in (Reason.FAINT, Reason.FAINT_REGION)

    @property
    def is_convincing(self) -> bool:
        """Whether what turned was more than chance makes of any events."""
        return self.stage > Reason.LOW_CONTRAST.stage


@dataclass(frozen=True, slots=True)
class Rejection:
    """A decision against a place or a candidate.

    Attributes:
        reason: what decided.
        value: the number that decided, in the unit that the reason's text names.
        limit: what it is compared with.
        line_hz: frequency of the rhythm, in periods a second; NaN where there is none.
        speed_hz: mechanical speed in turns a second, signed; NaN where it is not known.
    """

    reason: Reason
    value: float = math.nan
    limit: float = math.nan
    line_hz: float = math.nan
    speed_hz: float = math.nan


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why no rotor was found in some place; `str` gives it in a sentence.

    Attributes:
        rejection: what stopped the search, with its numbers.
        t_us: sensor time up to which events were looked at.
        span_us: for how long before that.
        box: the place.
        rate_hz: its events a second; NaN where they were not counted.
    """

    rejection: Rejection
    t_us: int
    span_us: int
    box: Box
    rate_hz: float = math.nan

    @property
    def reason(self) -> Reason:
        """What stopped the search."""
        return self.rejection.reason

    @property
    def place(self) -> str:
        """Where, how large and how active, in words."""
        x0, y0, x1, y1 = self.box
        middle = f"at ({(x0 + x1) // 2}, {(y0 + y1) // 2})"
        where = "in the whole view" if self.reason.is_of_view else middle
        rate = "" if math.isnan(self.rate_hz) else f", {_with_prefix(self.rate_hz)}ev/s"
        return f"{where}, {x1 - x0}x{y1 - y0} px{rate}"

    @property
    def what(self) -> str:
        """What stopped the search, in words."""
        return self.reason.text.format(**self._numbers())

    @property
    def advice(self) -> str:
        """What may help, in words; empty where nothing does."""
        return self.reason.advice.format(**self._numbers())

    def __str__(self) -> str:
        return f"{self.place}: {self.what}. {self.advice}".rstrip()

    def is_at(self, box: Box) -> bool:
        """Whether the middle of its place lies within another, or the other way round."""
        return _covers(self.box, box) or _covers(box, self.box)

    def _numbers(self) -> dict[str, float | str]:
        rejection = self.rejection
        line_hz, rpm = rejection.line_hz, 60 * rejection.speed_hz
        turned = max(rejection.value, 1e-9)
        return {
            "value": rejection.value,
            "limit": rejection.limit,
            "rhythm": "" if math.isnan(line_hz) else f" at {line_hz:.4g} Hz",
            "speed": "" if math.isnan(rpm) else f" with about {rpm:.3g} rpm",
            "needed_s": 1e-6 * self.span_us * rejection.limit / turned,
        }


def furthest(rejections: Iterable[Rejection]) -> Rejection:
    """The rejection that came nearest to a rotor, the last of several such; there is one."""
    return max(reversed(list(rejections)), key=lambda rejection: rejection.reason.stage)


def with_explanation(known: tuple[Explanation, ...], new: Explanation) -> tuple[Explanation, ...]:
    """What is known of all places when something new is said of one.

    The new explanation takes the place of the old ones of its place, but for one that came farther
    not long ago. Of many places those searched last are kept.
    """
    said = [old for old in known if old.is_at(new.box)]
    better = [
        old
        for old in said
        if old.reason.stage > new.reason.stage and new.t_us - old.t_us < OF_LATE_US
    ]
    if better:
        return known
    others = [old for old in known if old not in said]
    latest = sorted((*others, new), key=lambda each: each.t_us)[-_MOST_PLACES:]
    return tuple(latest)


def without_place(known: tuple[Explanation, ...], box: Box) -> tuple[Explanation, ...]:
    """What is known of all places but one, in which a rotor was found."""
    return tuple(old for old in known if not old.is_at(box))


def in_order(explanations: Sequence[Explanation]) -> tuple[Explanation, ...]:
    """The most telling first: the reason that most events share, then the place with most."""
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


def of_late(explanations: Sequence[Explanation]) -> list[Explanation]:
    """Those of places searched no more than `OF_LATE_US` before the last, in the same order."""
    latest_us = max((each.t_us for each in explanations), default=0)
    return [each for each in explanations if latest_us - each.t_us < OF_LATE_US]


def rotors_in_view(count: int, explanations: Sequence[Explanation] = ()) -> str:
    """How many rotors are in view, in words, and why there are none where the first says so."""
    view = f"{count} rotor{'' if count == 1 else 's'} in view"
    return view if count or not explanations else f"{view}, most likely because {explanations[0]}"


def _weight(explanation: Explanation) -> float:
    # What is said of the whole view comes last.
    is_counted = not (math.isnan(explanation.rate_hz) or explanation.reason.is_of_view)
    rate_hz = explanation.rate_hz if is_counted else 0.0
    return rate_hz * (_CONVINCING_WEIGHT if explanation.reason.is_convincing else 1.0)


def _covers(box: Box, other: Box) -> bool:
    """Whether a box holds the middle of another."""
    x, y = (other[0] + other[2]) / 2, (other[1] + other[3]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _with_prefix(number: float) -> str:
    """A number with three digits and the prefix of its thousands."""
    for scale, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * scale:
            return f"{number / scale:.3g} {prefix}"
    return f"{number:.3g} "
