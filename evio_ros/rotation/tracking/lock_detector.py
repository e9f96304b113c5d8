"""The lock detector: whether a rotor is seen turning, and whether it is one.

Method: the gain is the log likelihood of a slice's events under the template, relative to no
pattern (see `likelihood`). The gain per radian that the rotor turns is compared with its average.
The probability that the tracked object is a rotor is a product of three saturating functions: of
the total gain, of the match (gain relative to a perfect one), and of the scatter that the disc does
not explain.
"""

from __future__ import annotations

import math

from evio_ros.explanation import Reason, Rejection

__all__ = ["LockDetector", "why_wrong_disc"]

_QUIET_SHARE = 0.25
"""Share of the expected gain below which a rotor counts as not seen turning. Fitted to simulated
recordings."""
_DECISIVE_GAIN = 25.0
"""Gain (log likelihood) that must be expected before its absence counts: such a gain occurs by
chance once in e^25 cases."""
_FORGETTING = 0.8
"""Forgetting factor of the recent gains, for rotors of which a single slice shows little: about
five slices count. Fitted to simulated recordings."""
_SLOWEST_WEIGHT = 0.02
"""Final weight of a new slice in the averages: fifty slices count, 250 ms of 5 ms slices."""
_MATCH_WEIGHT = 0.1
_TYPICAL_GAIN, _LEAST_TYPICAL_GAIN = 20.0, 0.5
"""Weight of a new slice in the match if a perfect slice would gain at least `_TYPICAL_GAIN`. The
weight is proportionally smaller for smaller gains, and 0 below `_LEAST_TYPICAL_GAIN`. Fitted to
simulated recordings."""
_LEAST_TURNED_RAD = 1e-3
"""Slices in which a rotor turns by less do not update the averages per radian."""

_NO_MATCH = 0.3
_FULL_MATCH = 0.8
"""Matches at which the probability of a rotor is 0 and at which it is not reduced. Fitted to
simulated recordings."""
_CONVINCING_GAIN = 1000.0
"""Total gain (log likelihood) at which a rotor is false with probability 1 / e. The best of many
candidates is tracked, so a small gain proves nothing: of simulated dim and noisy rotors accepted
with up to 1500, half were wrong; with more than 2500, none."""

_LEAST_SLICES = 6
_LEAST_MATCH = 0.6
_LEAST_GAIN = 500.0
"""Requirements for a rotor: number of slices in which it was seen, share of a perfect match, and
total gain (log likelihood). Fitted to simulated recordings."""
_WRONG_DISC = 200.0
"""Over-dispersion over contrast at which a disc is wrong with probability 1/2. In simulated
recordings, discs that span two rotors or lie beside one show 300 to 3000, correct ones below 75,
and one with a single mark up to 115."""
_STEEPNESS = 4
"""Exponent of that ratio: between 75 and 300 the probability falls from 0.98 to 0.16."""

_STANDING_SHARE = 0.6
"""Share of its usual events below which a rotor that is not seen turning counts as standing still.
Fitted to simulated recordings."""
_RESTART_SHARE, _RESTART_EVENTS = 0.1, 10
"""A rotor that stood still turns again when it has more than this share of its usual events plus
this number: noise causes fewer. Fitted to simulated recordings."""
_FIRST_UNSEEN_RAD = math.pi / 2
_UNSEEN_MARGIN = 1.5
"""Angle that a rotor may turn unseen in its first turn; and factor on the longest such angle of the
previous turn, for later turns. If a part of the disc is hidden or outside the image, there may be
no edge in view for a part of each turn."""
_CREEP_SHARE = 0.5
"""Standard deviation of the speed of a rotor at rest, as a share of the speed that would explain
its remaining events: two standard deviations reach that speed."""


class LockDetector:
    """Decides, slice by slice, whether a rotor is seen turning.

    Attributes:
        match: gain relative to that of as many events drawn from the template; 1 if the template is
            right, 0 if the events do not fit it.
        slices: number of slices in which the rotor was seen.
        gain: total gain, a log likelihood.
        longest_unseen_rad: angle that the rotor may turn without being seen.
    """

    def __init__(self) -> None:
        self.match = 1.0
        self.slices = 0
        self.gain = 0.0
        self._events_per_rad = 0.0
        self._gain_per_rad = 0.0
        # Expected and actual gain of the latest slices, with exponential forgetting.
        self._expected = 0.0
        self._gained = 0.0
        self.longest_unseen_rad = _FIRST_UNSEEN_RAD
        # Angle turned since the rotor was last seen; the longest such angle in the current turn;
        # angle of the current turn so far.
        self._unseen_rad = self._longest_of_turn_rad = self._turn_rad = 0.0

    def why_not_locked(self) -> Rejection | None:
        """Why the tracked object is not accepted as a rotor; None if enough of it was seen."""
        if self.slices < _LEAST_SLICES:
            return Rejection(Reason.FEW_SLICES, self.slices, _LEAST_SLICES)
        if not self.match > _LEAST_MATCH:
            return Rejection(Reason.NO_MATCH, self.match, _LEAST_MATCH)
        if not self.gain > _LEAST_GAIN:
            return Rejection(Reason.LITTLE_GAIN, self.gain, _LEAST_GAIN)
        return None

    def is_match(self) -> bool:
        """Whether the events resemble the template at all."""
        return self.match >= _NO_MATCH

    def probability(self, over_dispersion: float) -> float:
        """Probability that the tracked object is the rotor that the template shows, 0 to 1.

        Args:
            over_dispersion: product of the over-dispersion factors of the phase and of the disc's
                sectors, divided by the contrast of the template.
        """
        matches = min(max((self.match - _NO_MATCH) / (_FULL_MATCH - _NO_MATCH), 0.0), 1.0)
        explained = 1.0 / (1.0 + (over_dispersion / _WRONG_DISC) ** _STEEPNESS)
        return -math.expm1(-max(self.gain, 0.0) / _CONVINCING_GAIN) * explained * matches

    def is_lost(self, gain: float, turned_rad: float) -> bool:
        """Update with a slice; returns whether the rotor does not turn as expected.

        Args:
            gain: log likelihood of the template relative to no pattern.
            turned_rad: angle by which the rotor should have turned.
        """
        expected = self._gain_per_rad * abs(turned_rad)
        self._expected = _FORGETTING * self._expected + expected
        self._gained = _FORGETTING * self._gained + gain
        if expected > _DECISIVE_GAIN:
            return gain < _QUIET_SHARE * expected
        return self._expected > _DECISIVE_GAIN and self._gained < _QUIET_SHARE * self._expected

    def update(self, gain: float, events: int, turned_rad: float, contrast: float) -> None:
        """Update with a slice in which the rotor was seen.

        Args:
            gain, turned_rad: see `is_lost`.
            events: number of events.
            contrast: contrast of the template.
        """
        weight = max(_SLOWEST_WEIGHT, 1.0 / (1 + self.slices))
        self.slices += 1
        self.gain += gain
        self._end_unseen(abs(turned_rad))
        typical = events * contrast
        if typical > _LEAST_TYPICAL_GAIN:
            match_weight = _MATCH_WEIGHT * min(typical / _TYPICAL_GAIN, 1.0)
            self.match += match_weight * (gain / typical - self.match)
        if abs(turned_rad) > _LEAST_TURNED_RAD:
            self._gain_per_rad += weight * (gain / abs(turned_rad) - self._gain_per_rad)
            self._events_per_rad += weight * (events / abs(turned_rad) - self._events_per_rad)

    def restart(self) -> None:
        """Reset the recent gains after the rotor was reacquired."""
        self._expected = self._gained = 0.0

    def is_standing(self, events: int, turned_rad: float) -> bool:
        """Whether there are far fewer events than if the rotor had turned by this angle."""
        return events < _STANDING_SHARE * self._events_per_rad * abs(turned_rad)

    def is_usually_unseen(self, turned_rad: float) -> bool:
        """Add a slice without events; returns whether that is usual, as in the previous turn.

        Args:
            turned_rad: angle by which the rotor should have turned.
        """
        self._unseen_rad += abs(turned_rad)
        if self._unseen_rad > self.longest_unseen_rad:
            return False
        self.restart()
        return True

    def skip(self, is_whole: bool) -> None:
        """Record a slice without data for some or all of its time: this turn is not evaluated.

        Args:
            is_whole: whether there is no data at all, which ends an unseen angle.
        """
        self._turn_rad = 0.0
        if is_whole:
            self._unseen_rad = 0.0

    def _end_unseen(self, turned_rad: float) -> None:
        """The rotor was seen again: update the longest unseen angle of this turn and of the last.

        Args:
            turned_rad: angle by which it turned in the slice, without sign.
        """
        self._longest_of_turn_rad = max(self._longest_of_turn_rad, self._unseen_rad)
        self._turn_rad += turned_rad + self._unseen_rad
        self._unseen_rad = 0.0
        if self._turn_rad > 2 * math.pi:
            self.longest_unseen_rad = _UNSEEN_MARGIN * self._longest_of_turn_rad
            self._longest_of_turn_rad = self._turn_rad = 0.0

    def is_restarting(self, events: int, usual_rad: float) -> bool:
        """Whether a rotor that stood still turns again.

        Args:
            events: number of events of a slice.
            usual_rad: angle by which the rotor would turn in it at its usual speed.
        """
        return events > _RESTART_SHARE * self._events_per_rad * usual_rad + _RESTART_EVENTS

    def creep_rad_s(self, events: int, length_s: float) -> float:
        """Standard deviation of the speed of a rotor at rest, in rad/s, from its remaining events.

        Args:
            events: number of events of a slice.
            length_s: length of the slice.
        """
        return _CREEP_SHARE * events / max(self._events_per_rad * length_s, 1e-9)


def why_wrong_disc(over_dispersion: float) -> Rejection | None:
    """Why a disc is probably wrong, see `LockDetector.probability`; None if it is not."""
    if over_dispersion > _WRONG_DISC:
        return Rejection(Reason.WRONG_DISC, over_dispersion, _WRONG_DISC)
    return None
