import numpy as np
import pytest

pytest.importorskip("norfair", reason="tracks need the extra rvt")

from evio_ros.detection.boxes import Boxes
from evio_ros.detection.object_tracker import ObjectTracker, TrackingParameters
from evio_ros.errors import ParameterError


def boxes(centers, labels=None, half=15.0, score=0.8):
    centers = np.asarray(centers, np.float64).reshape(-1, 2)
    corners = np.concatenate((centers - half, centers + half), axis=1)
    chosen = np.zeros(len(centers), np.int64) if labels is None else np.asarray(labels)
    return Boxes(corners, np.full(len(centers), score), chosen)


def center_of(track):
    return track.corners.reshape(2, 2).mean(axis=0)


@pytest.mark.parametrize("distance", ["overlap", "center"])
def test_numbers_stay_while_boxes_are_noisy_missing_and_windows_skipped(distance):
    random = np.random.default_rng(0)
    tracker = ObjectTracker(TrackingParameters(distance=distance))
    numbers = [set() for _ in range(4)]
    t_us = 0
    for step in range(200):
        t_us += 150_000 if step % 7 == 0 else 50_000
        moved = 60e-6 * t_us
        true = np.array([[100 + moved, 100], [900 - moved, 160], [600, 300], [300, 400]])
        seen = random.random(4) > 0.15
        tracks = tracker.update(t_us, boxes((true + random.normal(0, 1, (4, 2)))[seen]))
        for i, center in enumerate(true):
            numbers[i] |= {t.id for t in tracks if np.hypot(*(center_of(t) - center)) < 20}
    assert [len(some) for some in numbers] == [1, 1, 1, 1]


def test_velocity_is_in_sensor_time():
    tracker = ObjectTracker()
    t_us = 0
    for step in range(60):
        t_us += 100_000 if step % 3 else 50_000
        tracks = tracker.update(t_us, boxes([[10 + 80e-6 * t_us, 100]]))
    assert tracks[0].velocity == pytest.approx([80, 0], abs=4)


def test_classes_are_never_one():
    tracker = ObjectTracker(TrackingParameters(windows_to_begin=1))
    first = tracker.update(0, boxes([[50, 50]], [0]))
    second = tracker.update(50_000, boxes([[50, 50]], [1]))
    assert [t.id for t in first] == [1]
    assert {(t.id, t.label, t.is_seen) for t in second} == {(1, 0, False), (2, 1, True)}


def test_a_track_ends_when_it_is_missed():
    tracker = ObjectTracker(TrackingParameters(windows_to_end=3, windows_to_begin=1))
    for step in range(10):
        tracker.update(50_000 * step, boxes([[50, 50]]))
    lengths = [len(tracker.update(50_000 * step, boxes([]))) for step in range(10, 20)]
    assert lengths[0] == 1
    assert lengths[-1] == 0


@pytest.mark.parametrize("probable", [0, 1, 6])
def test_a_track_begins_with_one_probable_box_and_goes_on_with_others(probable):
    tracker = ObjectTracker(TrackingParameters(windows_to_begin=3, score_to_begin=0.6))
    begun = [
        bool(
            tracker.update(50_000 * step, boxes([[50, 50]], score=0.9 if step == probable else 0.4))
        )
        for step in range(12)
    ]
    assert begun == [step >= max(probable, 2) for step in range(12)]


def test_what_is_never_probable_is_no_track_and_frees_its_memory():
    tracker = ObjectTracker(TrackingParameters(score_to_begin=0.6, windows_to_end=2))
    for step in range(10):
        assert not tracker.update(50_000 * step, boxes([[50, 50]], score=0.5))
    # Elsewhere, another one: that the first was seen for long is no help to it.
    found = [
        len(tracker.update(50_000 * step, boxes([[300, 300]], score=0.7))) for step in range(10, 20)
    ]
    assert found == [0, 0] + 8 * [1]


@pytest.mark.parametrize(("reach", "numbers"), [(0.0, {1, 2}), (0.3, {1})])
def test_a_lost_track_is_known_again_by_its_appearance(reach, numbers):
    tracker = ObjectTracker(
        TrackingParameters(windows_to_end=2, windows_to_begin=2, appearance_distance=reach)
    )
    like = np.array([[0.6, 0.8]])
    seen = set()
    for step in range(30):
        # Out of view for a while, it comes back elsewhere.
        where = [] if 10 <= step < 20 else [[50, 50]] if step < 10 else [[400, 300]]
        found = boxes(where)
        tracks = tracker.update(50_000 * step, found, like[: len(found)])
        seen |= {track.id for track in tracks if track.is_seen}
    assert seen == numbers


def test_time_that_goes_back_is_refused_until_a_reset():
    tracker = ObjectTracker()
    tracker.update(100, boxes([]))
    with pytest.raises(ParameterError, match="99 is before 100"):
        tracker.update(99, boxes([]))
    tracker.reset()
    assert tracker.update(99, boxes([])) == []
