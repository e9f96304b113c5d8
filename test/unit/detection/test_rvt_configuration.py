import pytest
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.detection.rvt_configuration import GEN1, GEN4, RvtConfiguration
from evio_ros.errors import ParameterError
from evio_ros.events import SensorSize

configurations = st.builds(
    lambda variant, classes, split, rows, columns, downsample: RvtConfiguration(
        variant,
        tuple(classes),
        SensorSize(32 * split * columns, 32 * split * rows),
        split,
        downsample,
    ),
    st.sampled_from(["tiny", "small", "base"]),
    st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True),
    st.integers(1, 4),
    st.integers(1, 10),
    st.integers(1, 10),
    st.integers(1, 4),
)


@given(configurations)
def test_text_keeps_everything(configuration):
    assert RvtConfiguration.from_text(configuration.to_text()) == configuration


def test_published_inputs():
    # Partitions as the published configurations have them.
    assert GEN1.partition == (8, 10)
    assert GEN4.partition == (6, 10)
    assert GEN4.channels == 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variant": "huge"}, "none of base, nano, small, tiny"),
        ({"classes": ()}, "not distinct names"),
        ({"classes": ("car", "car")}, "not distinct names"),
        ({"input_size": SensorSize(100, 64)}, "not multiples of 64"),
        ({"window_us": 0}, "not a whole number above 0"),
        ({"bins": 2.5}, "not a whole number above 0"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    fields = {
        "variant": "tiny",
        "classes": ("car",),
        "input_size": SensorSize(128, 64),
        "partition_split": 2,
    }
    with pytest.raises(ParameterError, match=message):
        RvtConfiguration(**{**fields, **change})


@given(st.text())
def test_any_text_is_a_configuration_or_refused(text):
    with pytest.raises(ParameterError, match=r"not a network configuration|is none of"):
        RvtConfiguration.from_text(text)


@pytest.mark.parametrize("text", ["{}", "[1]", "null", '{"input_size": [1], "classes": []}'])
def test_other_json_is_refused(text):
    with pytest.raises(ParameterError, match="not a network configuration"):
        RvtConfiguration.from_text(text)
