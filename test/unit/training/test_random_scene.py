import numpy as np
import pytest

from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.simulation.simulator import simulate
from evio_ros.training.random_scene import random_scene

SIZE = SensorSize(96, 64)


def scenes(number, seconds=0.05):
    return [random_scene(np.random.default_rng(seed), SIZE, seconds) for seed in range(number)]


def test_equal_seeds_give_equal_scenes():
    assert scenes(5) == scenes(5)


def test_all_kinds_come():
    kinds = {(len(s.scene.rotors) > 0, len(s.drones) > 0) for s in scenes(60)}
    assert kinds == {(False, False), (True, False), (True, True)}


def test_a_kind_that_is_asked_for_comes():
    for seed in range(20):
        made = [
            random_scene(np.random.default_rng(seed), SIZE, 0.05, kind)
            for kind in ("clutter", "drone", "disc", "lamps", "textures")
        ]
        assert [len(one.scene.rotors) for one in made[:2]] == [0, 4]
        (disc,) = made[2].scene.rotors
        assert disc.pattern.disc_reflectance is not None
        assert max(map(abs, disc.speed.rpm)) < 1500
        assert not made[3].scene.rotors
        assert made[3].scene.lamps
        assert not made[4].scene.rotors
        assert len(made[4].scene.textures) >= 2


@pytest.mark.parametrize("seed", range(8))
def test_boxes_lie_in_the_image_and_hold_events(seed):
    labelled = random_scene(np.random.default_rng(seed), SIZE, 0.05)
    batches = list(simulate(labelled.scene, labelled.camera, 50_000))
    window = EventWindow(0, 50_000, EventBatch.concatenate(SIZE, batches))
    events = window.events
    boxes = labelled.boxes(window)
    assert (len(boxes) > 0) == (len(labelled.scene.rotors) > 0)
    for _, x0, y0, x1, y1 in boxes:
        assert 0 <= x0 < x1 <= SIZE.width
        assert 0 <= y0 < y1 <= SIZE.height
        inside = (events.x >= x0) & (events.x < x1) & (events.y >= y0) & (events.y < y1)
        assert inside.sum() > 10


def test_what_shows_no_events_is_not_labelled():
    nothing = EventWindow(0, 50_000, EventBatch.concatenate(SIZE, []))
    assert all(len(labelled.boxes(nothing)) == 0 for labelled in scenes(30))
