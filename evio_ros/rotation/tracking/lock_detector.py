"""Whether a rotor is seen turning: what its slices say, compared with what they used to say."""

from __future__ import annotations

import math

__all__ = ["DOUBTFUL_EXCESS", "LEAST_MATCH", "Evidence"]

QUIET_SHARE = 0.25
"""Share of the evidence expected below which a rotor is not seen turning."""
DECISIVE = 25.0
"""Evidence (log likelihood) that must be expected before its absence means anything."""
FORGETTING = 0.8
"""Weight of the slices before, for rotors of which one slice says little."""
SLOWEST_SHARE = 0.02
"""Weight of a new slice in the averages."""

NO_MATCH = 0.3
FULL_MATCH = 0.8
"""Matches at which a rotor is surely none, and surely one."""
CONVINCING = 1000.0
"""Evidence (log likelihood) after which a rotor is a false one with probability 1 / e. The best of
all candidates that were tried is followed, so little evidence proves nothing: of simulated dim and
noisy rotors taken up with up to 1500, half were wrong, with above 2500 none."""

LEAST_SLICES = 6
LEAST_MATCH = 0.6
LEAST_EVIDENCE = 500.0
"""What a rotor must have shown: slices in which it was seen, evidence over that expected, evidence
as such (log likelihood)."""

DOUBTFUL_EXCESS = 200.0
"""Excess scatter over contrast at which a disc is as likely a wrong one: those that span two
rotors, or lie beside one, show 300 to 3000, right ones below 75, one with a single mark up to
115."""


class Evidence:
    """Averages of what a rotor's slices show.

    Attributes:
        match: evidence gained over that which as many events of the template would give; 1 where
            the template is right, 0 where events do not fit it.
        events_per_rad: events while the rotor turns by a radian.
        slices: number of slices taken in.
        total: all evidence gained.
    """

    def __init__(self) -> None:
        self.match = 1.0
        self.events_per_rad = 0.0
        self.slices = 0
        self.total = 0.0
        self._evidence_per_rad = 0.0
        self._expected = 0.0
        self._gained = 0.0

    def is_enough(self) -> bool:
        """Whether there is enough of it to take what is followed for a rotor."""
        return (
            self.slices >= LEAST_SLICES and self.match > LEAST_MATCH and self.total > LEAST_EVIDENCE
        )

    def is_rotor(self, excess: float) -> float:
        """Probability that what is followed is the rotor that the template shows, 0 to 1.

        Args:
            excess: by how much the phase and the sectors of the disc scatter more than events
                explain, the two factors multiplied, over the contrast of the template.
        """
        matches = min(max((self.match - NO_MATCH) / (FULL_MATCH - NO_MATCH), 0.0), 1.0)
        explained = 1.0 / (1.0 + (excess / DOUBTFUL_EXCESS) ** 4)
        return -math.expm1(-max(self.total, 0.0) / CONVINCING) * explained * matches

    def is_absent(self, gained: float, turned_rad: float) -> bool:
        """Whether a slice shows that the rotor does not turn as expected.

        Args:
            gained: log likelihood that the template gains over no pattern at all.
            turned_rad: by how much the rotor should have turned.
        """
        expected = self._evidence_per_rad * abs(turned_rad)
        self._expected = FORGETTING * self._expected + expected
        self._gained = FORGETTING * self._gained + gained
        if expected > DECISIVE:
            return gained < QUIET_SHARE * expected
        return self._expected > DECISIVE and self._gained < QUIET_SHARE * self._expected

    def are_events_missing(self, events: int, turned_rad: float) -> bool:
        """Whether there are far fewer events than a turning rotor makes."""
        return events < 0.6 * self.events_per_rad * abs(turned_rad)

    def learn(self, gained: float, events: int, turned_rad: float, contrast: float) -> None:
        """Take in a slice in which the rotor was seen.

        Args:
            gained, turned_rad: see `is_absent`.
            events: number of events.
            contrast: of the template.
        """
        share = max(SLOWEST_SHARE, 1.0 / (1 + self.slices))
        self.slices += 1
        self.total += gained
        typical = events * contrast
        if typical > 0.5:
            self.match += 0.1 * min(typical / 20.0, 1.0) * (gained / typical - self.match)
        if abs(turned_rad) > 1e-3:
            self._evidence_per_rad += share * (gained / abs(turned_rad) - self._evidence_per_rad)
            self.events_per_rad += share * (events / abs(turned_rad) - self.events_per_rad)

    def forget_absence(self) -> None:
        """Judge anew after the rotor was found again."""
        self._expected = self._gained = 0.0
