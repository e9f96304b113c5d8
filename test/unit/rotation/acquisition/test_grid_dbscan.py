from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import DBSCAN

from evio_ros.rotation.acquisition.grid_dbscan import grid_dbscan


@pytest.mark.parametrize("share", [0.02, 0.08, 0.15, 0.4])
@pytest.mark.parametrize("reach", [1.0, 2.5, 4.0])
def test_labels_are_those_of_scikit_learn(share, reach):
    cells = np.argwhere(np.random.default_rng(3).random((60, 90)) < share)
    expected = DBSCAN(eps=reach, min_samples=4).fit_predict(cells)
    labels = grid_dbscan(cells, reach, 4)
    assert np.array_equal(labels == -1, expected == -1)
    # A cell between two clusters may fall to either; cores may not.
    cores = DBSCAN(eps=reach, min_samples=4).fit(cells).core_sample_indices_
    assert np.array_equal(labels[cores], expected[cores])


def test_no_cells_have_no_clusters():
    assert grid_dbscan(np.zeros((0, 2), np.int64), 2.5, 4).shape == (0,)
