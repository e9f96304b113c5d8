from __future__ import annotations

import pytest

from evio_ros.rotation.parabola import vertex


@pytest.mark.parametrize("place", [-0.4, 0.2, 3.0])
def test_the_vertex_of_a_parabola(place):
    assert vertex(*(-((x - place) ** 2) for x in (-1, 0, 1))) == pytest.approx(place)


@pytest.mark.parametrize("values", [(1.0, 1.0, 1.0), (1.0, 0.0, 2.0), (0.0, 1.0, 2.0)])
def test_without_a_maximum_the_vertex_is_the_middle(values):
    assert vertex(*values) == 0.0
