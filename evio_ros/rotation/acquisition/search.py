"""The search for a rotor in an active region: the order in which candidates are proposed and tried.

Candidates come, in this order, from what was seen beside a rotor found before; from known discs;
from the phase vortex (`winding`), which shows blades; and from the region's outline
(`disc_outline`), because textures and single marks do not wind about a hub. If the view cuts the
disc, its outline does not determine the hub, but `count_time_search` does. Each candidate is
verified by tracking it through the past (`verification`); the first confirmed one is the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventWindow, SensorSize
from evio_ros.explanation import Reason, Rejection, furthest
from evio_ros.rotation.acquisition.count_time_search import candidates
from evio_ros.rotation.acquisition.disc_outline import (
    LEAST_TURNS,
    is_cut,
    outline_ellipse,
    turning_candidate,
)
from evio_ros.rotation.acquisition.path_lock import FEWEST_EVENTS, MOST_EVENTS
from evio_ros.rotation.acquisition.region_events import RegionEvents
from evio_ros.rotation.acquisition.regions import DISC_REACH, Region
from evio_ros.rotation.acquisition.verification import Verifier, is_surely_rotor
from evio_ros.rotation.acquisition.winding import RotorCandidate, acquire
from evio_ros.rotation.acquisition.work_units import Work
from evio_ros.rotation.dead_time import why_too_coarse
from evio_ros.rotation.detector_parameters import DetectorSettings
from evio_ros.rotation.phase_path.event_count_time import CountedEvents, active_span
from evio_ros.rotation.tracking.rotor_tracker import RotorTracker

__all__ = ["Candidates", "Found", "RetryAfter", "RotorSearch", "SearchRequest"]

_OWN_SHARE = 0.5
"""A known disc is tried in a region if more than this share of the region lies on it."""
_SHORT_SHARE = 4
"""Moving rotors are searched in the last quarter of the events first: in a sixteenth of a second
they move by few pixels."""
_SHORT_FROM = 3
"""Number of failures after which every other search of a region uses the last quarter only."""
_PROMISING_WAIT_US = 80_000
"""Wait before the next search of a region that clearly winds but could not be tracked. It is not a
failure, because the rotor may be speeding up; one that does so for a second is tried a dozen
times."""
_SOON_WAIT_US = 40_000
"""Wait before the next search of a rotor that has not turned far enough yet."""
_OUTLINE_POINTS = 31
"""Number of points of an outline that are compared with tracked discs: a fifth of a radius
apart."""
_MOST_CYCLES, _HIGHEST_ORDER = 6.0, 3
"""Limits of the search in count time for a disc that the view cuts: rotors with more turns or more
blades show in the spectrum of its cells."""
_SAME_RADIUS = 0.5
"""Two discs are the same if their hubs are closer than this, in radii."""

_PART_OF_TRACKED = Rejection(Reason.PART_OF_TRACKED)

Candidates = tuple[RotorCandidate, ...]


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """Everything that determines the result of a search.

    Attributes:
        region: where to search.
        slices: the latest consecutive slices while the region was active; at least one.
        codes: int32 (height, width) of `PixelTable`: which pixels belong to tracked rotors. The
            region's part is copied when the search begins.
        tracked: discs of the tracked rotors.
        known: previously known discs.
        beside: candidates that were seen with an earlier rotor and may turn beside it.
        failures: number of recent failed searches of the region.
        by_outline: whether rotors without blades are searched by the region's outline.
    """

    region: Region
    slices: tuple[EventWindow, ...]
    codes: NDArray[np.int32]
    tracked: tuple[Ellipse, ...]
    known: tuple[Ellipse, ...]
    beside: Candidates
    failures: int
    by_outline: bool = True

    @property
    def is_short(self) -> bool:
        """Whether the latest events are enough for a place that fails again and again."""
        return self.failures >= _SHORT_FROM and self.failures % 2 == 1


@dataclass(frozen=True, slots=True)
class Found:
    """A rotor has been found.

    Attributes:
        tracker: its tracker, which has processed all slices of the request.
        events: events of the region.
        beside: candidates for the next search.
    """

    tracker: RotorTracker
    events: RegionEvents
    beside: Candidates


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """More must be seen, for example of a disc that has not made a turn yet.

    Attributes:
        wait_us: time until the next search.
        beside: candidates for the next search.
        rejection: why the search ended.
    """

    wait_us: int
    beside: Candidates
    rejection: Rejection


@dataclass(frozen=True, slots=True)
class Failed:
    """No rotor was found.

    Attributes:
        beside: candidates for the next search.
        rejection: why the search ended.
    """

    beside: Candidates
    rejection: Rejection


class RotorSearch:
    """Searches regions, one at a time.

    Args:
        size: geometry of the sensor.
        settings: thresholds and parameters of tracking.
        span_us: length of the events in which rotors are searched for; None for that of the
            settings.
    """

    def __init__(
        self, size: SensorSize, settings: DetectorSettings, span_us: int | None = None
    ) -> None:
        self._size = size
        self._span_us = span_us or settings.detector.acquisition_us
        self._settings = settings
        self._verifier = Verifier(size, settings)
        # Rejections of the present search.
        self._rejections: list[Rejection] = []

    def search(self, request: SearchRequest) -> Work[Found | RetryAfter | Failed]:
        """Search a region for one rotor."""
        region = request.region
        self._verifier.is_promising = False
        events = RegionEvents(self._size, request.slices, request.codes, region)
        self._rejections = []
        latest = yield from events.last(self._span_us // _SHORT_SHARE)
        too_coarse = why_too_coarse(latest.events.t)
        if too_coarse is not None:
            return Failed(request.beside, too_coarse)

        old = [c for c in request.beside if region.share_on(c.ellipse) > _OWN_SHARE]
        tracker = yield from self._first_rotor(old, request, events)
        if tracker is not None:
            return Found(tracker, events, request.beside)
        beside = tuple(c for c in request.beside if c not in old)

        discs = [disc for disc in request.known if region.share_on(disc) > _OWN_SHARE]
        turning, wait_us = yield from self._turning_in(discs, events)
        tracker = yield from self._first_rotor(turning, request, events)
        if tracker is not None:
            return Found(tracker, events, beside)

        winding = yield from self._winding_in(request, events)
        tracker = yield from self._first_rotor(winding, request, events)
        if tracker is not None:
            return Found(tracker, events, tuple(winding))
        if any(self._is_certain(candidate) for candidate in winding):
            wait_us = _PROMISING_WAIT_US

        if request.by_outline and not request.is_short:
            turning, slow_us = yield from self._turning_in(_outline_of(request), events)
            is_hub_beyond = is_cut(region)
            if turning and is_hub_beyond:
                turning = yield from self._evenly_winding_in(request, events)
            tracker = yield from self._first_rotor(turning, request, events, is_hub_beyond)
            if tracker is not None:
                return Found(tracker, events, beside)
            wait_us = slow_us or wait_us
        if self._verifier.is_promising:
            wait_us = _SOON_WAIT_US

        rejection = furthest(self._rejections)
        if wait_us:
            return RetryAfter(wait_us, beside, rejection)
        return Failed(beside, rejection)

    def why_not_seen(self, found: Found, later: Iterable[EventWindow]) -> Rejection | None:
        """Update the last rotor found with the slices since the request.

        Args:
            found: the result of the latest search.
            later: slices that passed during the search; afterwards its tracker is up to date.

        Returns:
            Why it is no longer a rotor; None if it still is.
        """
        for part in later:
            times_us = range(part.start_us, part.end_us)
            events, share = found.events.of_slice(part), found.events.share_of_slice(part)
            self._verifier.extend(events, times_us, part.live, share)
        rejection = found.tracker.why_not_credible()
        return None if is_surely_rotor(found.tracker) else rejection

    def _first_rotor(
        self,
        candidates: Sequence[RotorCandidate],
        request: SearchRequest,
        events: RegionEvents,
        by_path: bool = False,
    ) -> Work[RotorTracker | None]:
        """Tracker of the first candidate that is a rotor which is not tracked already.

        Args:
            candidates: tried in this order.
            request, events: of the search.
            by_path: whether the hubs are too uncertain for tracking other than along a path.
        """
        for candidate in candidates:
            if _is_one_of(request.tracked, candidate.ellipse):
                self._reject(_PART_OF_TRACKED)
                continue
            outcome = yield from self._verifier.verify(candidate, events, by_path)
            if isinstance(outcome, Rejection):
                self._reject(outcome)
            elif _is_one_of(request.tracked, outcome.ellipse):
                self._reject(_PART_OF_TRACKED)
            else:
                return outcome
        return None

    def _winding_in(
        self, request: SearchRequest, events: RegionEvents
    ) -> Work[list[RotorCandidate]]:
        """Candidates that wind in the latest events, and in longer ones unless one is certain."""
        latest, why_none = yield from self._winding(self._span_us // _SHORT_SHARE, request, events)
        if request.is_short:
            self._reject(why_none)
            return latest
        certain = [candidate for candidate in latest if self._is_certain(candidate)]
        if certain:
            region = request.region
            outside = (1.0 - region.share_on(certain[0].ellipse)) * len(region.cells)
            if outside < self._settings.regions.minimum_cells:
                return latest
        longer, why_none = yield from self._winding(self._span_us, request, events)
        self._reject(why_none)
        # If a rotor moves, its latest positions come first.
        others = latest[len(certain) :] + longer
        return certain + sorted(others, key=lambda candidate: candidate.coherence, reverse=True)

    def _evenly_winding_in(
        self, request: SearchRequest, events: RegionEvents
    ) -> Work[list[RotorCandidate]]:
        """Candidates that wind in count time, whatever their speed and wherever their hub."""
        window = yield from events.last(events.span_us)
        if len(window.events) < FEWEST_EVENTS:
            self._reject(Rejection(Reason.FEW_EVENTS, len(window.events), FEWEST_EVENTS))
            return []
        start_us, end_us = active_span(window.events.t)
        counted = CountedEvents.of(window.events.between(start_us, end_us), MOST_EVENTS)
        found = yield from candidates(counted, request.region, _MOST_CYCLES, _HIGHEST_ORDER)
        if isinstance(found, Rejection):
            self._reject(found)
            return []
        length_s = 1e-6 * (end_us - start_us)
        return [RotorCandidate(c.disc, c.turns / length_s, c.order, c.coherence) for c in found]

    def _winding(
        self, span_us: int, request: SearchRequest, events: RegionEvents
    ) -> Work[tuple[list[RotorCandidate], Rejection | None]]:
        """Candidates that wind in the latest events, most coherent first; or why there are none."""
        window = yield from events.last(span_us)
        found = yield from acquire(
            window.events,
            window.start_us,
            window.span_us,
            request.region,
            self._settings.acquisition,
        )
        if isinstance(found, Rejection):
            return [], found
        # Candidates under a tracked disc are not new rotors.
        others = [c for c in found if not _are_within(request.tracked, *c.ellipse.center)]
        return others, None if others else _PART_OF_TRACKED

    def _reject(self, rejection: Rejection | None) -> None:
        """Store a rejection, if there is one."""
        if rejection is not None:
            self._rejections.append(rejection)

    def _is_certain(self, candidate: RotorCandidate) -> bool:
        return candidate.coherence >= self._settings.acquisition.certain_coherence

    def _turning_in(
        self, discs: Sequence[Ellipse], events: RegionEvents
    ) -> Work[tuple[list[RotorCandidate], int]]:
        """Candidates in given discs, and the time to wait for those that are still too slow."""
        turning, wait_us = [], 0
        for disc in discs:
            for span_us in sorted({self._span_us, events.span_us}):
                window = yield from events.last(span_us)
                found = yield from turning_candidate(
                    window.events,
                    window.start_us,
                    window.span_us,
                    disc,
                    self._settings.tracking,
                    self._settings.acquisition.maximum_speed_hz,
                )
                if isinstance(found, Rejection):
                    self._reject(found)
                    break
                speed_hz = found.frequency_hz
                turn_us = int(1e6 * LEAST_TURNS / max(abs(speed_hz), 1e-3))
                if turn_us <= window.span_us:
                    turning.append(found)
                    break
            else:
                # Twice the span of events is kept.
                is_kept = turn_us <= 2 * self._span_us
                if is_kept:
                    wait_us = turn_us - events.span_us
                turns = LEAST_TURNS * events.span_us / turn_us
                reason = Reason.NOT_ROUND if is_kept else Reason.TOO_SLOW
                self._reject(Rejection(reason, turns, LEAST_TURNS, speed_hz=speed_hz))
        return turning, wait_us


def _outline_of(request: SearchRequest) -> list[Ellipse]:
    """The region's outline; empty if it is not an ellipse, or is bounded by a tracked disc."""
    outline = outline_ellipse(request.region)
    if outline is None:
        return []
    rim = outline.rim(_OUTLINE_POINTS)
    return [] if _are_within(request.tracked, *rim) else [outline]


def _are_within(discs: Sequence[Ellipse], x: ArrayLike, y: ArrayLike) -> bool:
    """Whether any of some points is on a disc or within its reach."""
    return any(bool((disc.disc_coordinates(x, y)[0] < DISC_REACH).any()) for disc in discs)


def _is_one_of(discs: Sequence[Ellipse], disc: Ellipse) -> bool:
    """Whether a disc is probably one of the others."""
    return any(
        min(
            float(other.disc_coordinates(*disc.center)[0]),
            float(disc.disc_coordinates(*other.center)[0]),
        )
        < _SAME_RADIUS
        for other in discs
    )
