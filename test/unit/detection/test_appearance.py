import numpy as np
import pytest

from evio_ros.detection.appearance import appearances


def test_the_features_of_the_cells_of_a_box_make_a_vector_of_length_1():
    """A map of 3 rows and 4 columns, each cell 16 pixels wide."""
    features = np.zeros((2, 3, 4), np.float32)
    features[0, 1, 1], features[1, 1, 2] = 3.0, 4.0
    corners = np.array([[16.0, 16.0, 48.0, 32.0], [17.0, 17.0, 20.0, 20.0], [0.0, 0.0, 9.0, 9.0]])
    found = appearances(features, corners)
    # The mean of the two cells is (1.5, 2); that of one alone (3, 0); nothing is seen of the third.
    np.testing.assert_allclose(found, [[0.6, 0.8], [1.0, 0.0], [0.0, 0.0]], atol=1e-7)


@pytest.mark.parametrize("corners", [[-40.0, -9.0, -3.0, -1.0], [500.0, 500.0, 600.0, 600.0]])
def test_a_box_at_or_beyond_the_border_has_the_nearest_cell(corners):
    features = np.arange(12, dtype=np.float32).reshape(1, 3, 4) + 1.0
    assert appearances(features, np.array([corners])).tolist() == [[1.0]]
    assert appearances(features, np.empty((0, 4))).shape == (0, 1)
