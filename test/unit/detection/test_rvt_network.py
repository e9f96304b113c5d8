"""The network is the published one: predictions of the official code for the same weights."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need the extra rvt")
pytest.importorskip("evlib", reason="networks need the extra rvt")

from rvt_weights import counts, patterned  # noqa: E402

from evio_ros.detection.rvt_configuration import RvtConfiguration  # noqa: E402
from evio_ros.detection.rvt_network import RvtNetwork  # noqa: E402
from evio_ros.errors import ParameterError  # noqa: E402
from evio_ros.events import SensorSize  # noqa: E402

SIZE = SensorSize(128, 64)
# Official code (github.com/uzh-rpg/RVT, commit b80f568), float64, third of three inputs: the means
# of the predictions' columns, and the prediction of place 160.
OFFICIAL = {
    "tiny": (
        np.array(
            [
                58.74589964534514,
                27.180364738742934,
                16.654163652145776,
                19.72300169857113,
                0.5096032563245563,
                0.42325061116061735,
                0.4355520658599896,
            ]
        ),
        np.array(
            [
                -23.15159639608185,
                2.632440727566596,
                43.12900844497699,
                42.7527012829347,
                0.48539213467727343,
                0.48858778391797236,
                0.5839998683706913,
            ]
        ),
    ),
    "small": (
        np.array(
            [
                58.71438348951092,
                25.947358117988614,
                16.28947176319357,
                11.085672159408354,
                0.483770693709173,
                0.39000005731250226,
                0.49364247608441986,
            ]
        ),
        np.array(
            [
                -18.643269152815236,
                13.563560355649276,
                37.56934940494133,
                20.68289165436317,
                0.4602577236787846,
                0.5088382860756849,
                0.5068857719423502,
            ]
        ),
    ),
    "base": (
        np.array(
            [
                58.62668121256721,
                25.694766889600302,
                11.377551996806918,
                12.094260551123613,
                0.5118925776311586,
                0.5409558527379895,
                0.5907750310846959,
            ]
        ),
        np.array(
            [
                -2.533876017205719,
                -8.333490788727545,
                45.895490354971585,
                38.390921129616764,
                0.451750745094757,
                0.4021268934794162,
                0.5294875954921296,
            ]
        ),
    ),
}


def network(variant: str) -> RvtNetwork:
    made = RvtNetwork(RvtConfiguration(variant, ("car", "pedestrian"), SIZE, 1)).double()
    weights = made.published_weights()
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    made.load_published({k: torch.from_numpy(v) for k, v in patterned(shapes).items()})
    return made


@pytest.mark.parametrize("variant", sorted(OFFICIAL))
def test_predictions_are_those_of_the_official_network(variant):
    made = network(variant)
    states = made.first_states()
    with torch.inference_mode():
        for step in range(3):
            histogram = torch.from_numpy(counts(20, SIZE.height, SIZE.width, step)).double()
            predictions, states = made(histogram[None], states)
    found = predictions[0].numpy()
    means, place = OFFICIAL[variant]
    np.testing.assert_allclose(found.mean(axis=0), means, rtol=0, atol=1e-11)
    np.testing.assert_allclose(found[160], place, rtol=0, atol=1e-11)


def test_the_state_matters():
    made = network("tiny")
    histogram = torch.from_numpy(counts(20, SIZE.height, SIZE.width, 0)).double()[None]
    with torch.inference_mode():
        first, states = made(histogram, made.first_states())
        second, _ = made(histogram, states)
    assert float((first - second).abs().max()) > 1e-3


def test_weights_that_do_not_fit_are_refused():
    made = network("tiny")
    good = made.published_weights()
    name = "backbone.stages.0.downsample_cf2cl.conv.weight"
    with pytest.raises(ParameterError, match=r"1 missing \(backbone"):
        made.load_published({k: v for k, v in good.items() if k != name})
    with pytest.raises(ParameterError, match=r"1 too many \(other"):
        made.load_published({**good, "other": good[name]})
    with pytest.raises(ParameterError, match="is \\(1, 1\\)"):
        made.load_published({**good, name: good[name][0, 0, :1, :1]})
    with pytest.raises(ParameterError, match="not finite"):
        made.load_published({**good, name: good[name] * float("nan")})
    with pytest.raises(ParameterError, match="missing"):
        made.load_published({})
