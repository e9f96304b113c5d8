"""The lock detector: whether a rotor is seen turning, and whether it is one.

Method: what the template gains (log likelihood over that of no pattern, see `likelihood`) while
the rotor turns by a radian is compared with what it used to gain. The probability that what is
followed is a rotor is a product of three sigmoids: of all that was gained, of the share of a
perfect match, and of how much its disc leaves unexplained.
"""

from __future__ import annotations

import math

from evio_ros.explanation import Reason, Rejection

__all__ = ["LockDetector", "why_wrong_disc"]

_QUIET_SHARE = 0.25
"""Share of the expected gain below which a rotor is not seen turning. Fitted to simulated
recordings."""
_DECISIVE_GAIN = 25.0
"""Gain (log likelihood) that must be expected before its absence means anything: such a gain comes
by chance once in e^25."""
_FORGETTING = 0.8
"""Weight of the slices before, for rotors of which one slice says little: five slices count. Fitted
to simulated recordings."""
_SLOWEST_WEIGHT = 0.02
"""Weight of a new slice in the averages in the long run: fifty slices count, 250 ms of 5 ms
each."""
_MATCH_WEIGHT = 0.1
TYPICAL_GAIN, LEAST_TYPICAL_GAIN = 20.0, 0.5
"""Weight of a new slice in the match where a perfect one would gain `TYPICAL_GAIN`; it counts for
less in proportion where it would gain less, and not at all below the other. Fitted to simulated
recordings."""
_LEAST_TURNED_RAD = 1e-3
"""A rotor that turns by less in a slice tells nothing of what it shows for a radian."""

_NO_MATCH = 0.3
_FULL_MATCH = 0.8
"""Matches at which a rotor is surely none, and surely one. Fitted to simulated recordings."""
_CONVINCING_GAIN = 1000.0
"""Gain (log likelihood) after which a rotor is a false one with probability 1 / e. The best of all
candidates that were tried is followed, so a little gain proves nothing: of simulated dim and noisy
rotors taken up with up to 1500, half were wrong, with above 2500 none."""

_LEAST_SLICES = 6
_LEAST_MATCH = 0.6
_LEAST_GAIN = 500.0
"""What a rotor must have shown: slices in which it was seen, share of a perfect match, gain (log
likelihood). Fitted to simulated recordings."""
_WRONG_DISC = 200.0
"""Over-dispersion over contrast at which a disc is as likely a wrong one: those that span two
rotors, or lie beside one, show 300 to 3000, right ones below 75, one with a single mark up to
115, all in simulated recordings."""
_STEEPNESS = 4
"""Power of that ratio: between 75 and 300 the probability falls from 0.98 to 0.16."""

_STANDING_SHARE = 0.6
"""Share of its usual events below which a rotor that is not seen turning stands still. Fitted to
simulated recordings."""
STIRRING_SHARE, STIRRING_EVENTS = 0.1, 10
"""Share of the usual events, and number on top of them, above which a rotor that stood still turns
again: noise events are fewer. Fitted to simulated recordings."""
_FIRST_LULL_RAD = math.pi / 2
_LULL_MARGIN = 1.5
"""By how much a rotor may turn without being seen in its first turn, and over what it did in the
turn before: where a part of the disc is hidden or beyond the border, no edge may be in view for a
part of each turn."""
_CREEP_SHARE = 0.5
"""A rotor that stands still may creep at this share of the speed that its events allow, as a
standard deviation: at twice that at the most."""


class LockDetector:
    """Averages of what a rotor's slices show.

    Attributes:
        match: log likelihood gained over that which as many events of the template would gain; 1
            where the template is right, 0 where events do not fit it.
        slices: number of slices in which the rotor was seen.
        gain: all log likelihood gained.
        longest_lull_rad: by how much the rotor may turn without being seen.
    """

    def __init__(self) -> None:
        self.match = 1.0
        self.slices = 0
        self.gain = 0.0
        self._events_per_rad = 0.0
        self._gain_per_rad = 0.0
        # Of the latest slices, with exponential forgetting.
        self._expected = 0.0
        self._gained = 0.0
        self.longest_lull_rad = _FIRST_LULL_RAD
        # By how much it turned unseen just now, at most in this turn, and in this turn at all.
        self._lull_rad = self._lulls_rad = self._turn_rad = 0.0

    def why_not_locked(self) -> Rejection | None:
        """Why what is followed is not taken for a rotor; None where enough of it was seen."""
        if self.slices < _LEAST_SLICES:
            return Rejection(Reason.FEW_SLICES, self.slices, _LEAST_SLICES)
        if not self.match > _LEAST_MATCH:
            return Rejection(Reason.NO_MATCH, self.match, _LEAST_MATCH)
        if not self.gain > _LEAST_GAIN:
            return Rejection(Reason.LITTLE_GAIN, self.gain, _LEAST_GAIN)
        return None

    def is_match(self) -> bool:
        """Whether what is seen resembles the template at all."""
        return self.match >= _NO_MATCH

    def probability(self, over_dispersion: float) -> float:
        """Probability that what is followed is the rotor that the template shows, 0 to 1.

        Args:
            over_dispersion: by how much the phase and the sectors of the disc scatter more than
                events explain, the two factors multiplied, over the contrast of the template.
        """
        matches = min(max((self.match - _NO_MATCH) / (_FULL_MATCH - _NO_MATCH), 0.0), 1.0)
        explained = 1.0 / (1.0 + (over_dispersion / _WRONG_DISC) ** _STEEPNESS)
        return -math.expm1(-max(self.gain, 0.0) / _CONVINCING_GAIN) * explained * matches

    def is_lost(self, gain: float, turned_rad: float) -> bool:
        """Take in a slice; whether it shows that the rotor does not turn as expected.

        Args:
            gain: log likelihood that the template gains over no pattern at all.
            turned_rad: by how much the rotor should have turned.
        """
        expected = self._gain_per_rad * abs(turned_rad)
        self._expected = _FORGETTING * self._expected + expected
        self._gained = _FORGETTING * self._gained + gain
        if expected > _DECISIVE_GAIN:
            return gain < _QUIET_SHARE * expected
        return self._expected > _DECISIVE_GAIN and self._gained < _QUIET_SHARE * self._expected

    def update(self, gain: float, events: int, turned_rad: float, contrast: float) -> None:
        """Take in a slice in which the rotor was seen.

        Args:
            gain, turned_rad: see `is_lost`.
            events: number of events.
            contrast: of the template.
        """
        weight = max(_SLOWEST_WEIGHT, 1.0 / (1 + self.slices))
        self.slices += 1
        self.gain += gain
        self._note_lull(abs(turned_rad))
        typical = events * contrast
        if typical > LEAST_TYPICAL_GAIN:
            told = _MATCH_WEIGHT * min(typical / TYPICAL_GAIN, 1.0)
            self.match += told * (gain / typical - self.match)
        if abs(turned_rad) > _LEAST_TURNED_RAD:
            self._gain_per_rad += weight * (gain / abs(turned_rad) - self._gain_per_rad)
            self._events_per_rad += weight * (events / abs(turned_rad) - self._events_per_rad)

    def restart(self) -> None:
        """Judge anew after the rotor was found again."""
        self._expected = self._gained = 0.0

    def is_standing(self, events: int, turned_rad: float) -> bool:
        """Whether there are far fewer events than a rotor makes that turns by so much."""
        return events < _STANDING_SHARE * self._events_per_rad * abs(turned_rad)

    def is_lull(self, turned_rad: float) -> bool:
        """Whether too few events say nothing, as in the turn before; to be asked at each slice."""
        self._lull_rad += abs(turned_rad)
        if self._lull_rad > self.longest_lull_rad:
            return False
        self.restart()
        return True

    def skip(self, is_whole: bool) -> None:
        """A slice had no data, or for a part of it: this turn does not tell where nothing is seen.

        Args:
            is_whole: whether it had none at all: what is seen next begins anew.
        """
        self._turn_rad = 0.0
        if is_whole:
            self._lull_rad = 0.0

    def _note_lull(self, turned_rad: float) -> None:
        """Remember for a turn by how much the rotor turned without being seen."""
        self._lulls_rad = max(self._lulls_rad, self._lull_rad)
        self._turn_rad += turned_rad + self._lull_rad
        self._lull_rad = 0.0
        if self._turn_rad > 2 * math.pi:
            self.longest_lull_rad = _LULL_MARGIN * self._lulls_rad
            self._lulls_rad = self._turn_rad = 0.0

    def is_stirring(self, events: int, usual_rad: float) -> bool:
        """Whether a rotor that stood still turns again, which usually turns by so much."""
        return events > STIRRING_SHARE * self._events_per_rad * usual_rad + STIRRING_EVENTS

    def creep_rad_s(self, events: int, length_s: float) -> float:
        """How fast a rotor that stands still may creep for the events that are left."""
        return _CREEP_SHARE * events / max(self._events_per_rad * length_s, 1e-9)


def why_wrong_disc(over_dispersion: float) -> Rejection | None:
    """Why a disc is more likely a wrong one than not, see `LockDetector.probability`."""
    if over_dispersion > _WRONG_DISC:
        return Rejection(Reason.WRONG_DISC, over_dispersion, _WRONG_DISC)
    return None
