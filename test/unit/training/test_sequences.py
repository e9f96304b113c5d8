import numpy as np

from evio_ros.detection.rvt_configuration import RvtConfiguration
from evio_ros.events import SensorSize
from evio_ros.training.sequences import kept_sequence, random_sequence

CONFIGURATION = RvtConfiguration(
    "tiny", ("rotor", "drone"), SensorSize(96, 64), 1, window_us=10_000
)


def test_a_sequence_has_the_shape_the_network_takes():
    made = random_sequence((0, 3), CONFIGURATION, 4)
    assert made.inputs.shape == (4, 20, 64, 96)
    assert len(made.boxes) == 4
    assert made.inputs.any()
    again = random_sequence((0, 3), CONFIGURATION, 4)
    np.testing.assert_array_equal(made.inputs, again.inputs)


def test_files_keep_sequences(tmp_path):
    made = kept_sequence(tmp_path, 0, 3, CONFIGURATION, 4)
    (file,) = tmp_path.iterdir()
    read = kept_sequence(tmp_path, 0, 3, CONFIGURATION, 4)
    wanted = random_sequence((0, 3), CONFIGURATION, 4)
    for one in (made, read):
        np.testing.assert_array_equal(one.inputs, wanted.inputs)
        assert one.name == wanted.name
        assert len(one.boxes) == 4
        for found, true in zip(one.boxes, wanted.boxes, strict=True):
            np.testing.assert_array_equal(found, true)
    # A file that is broken is made anew.
    file.write_bytes(file.read_bytes()[:500])
    np.testing.assert_array_equal(
        kept_sequence(tmp_path, 0, 3, CONFIGURATION, 4).inputs, wanted.inputs
    )
