import importlib.util

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need the extra rvt")
pytest.importorskip("evlib", reason="networks need the extra rvt")

from rvt_weights import counts, patterned  # noqa: E402

from evio_ros.detection.inference import BACKENDS, inference_of  # noqa: E402
from evio_ros.detection.rvt_configuration import RvtConfiguration  # noqa: E402
from evio_ros.detection.rvt_network import RvtNetwork  # noqa: E402
from evio_ros.errors import ParameterError  # noqa: E402
from evio_ros.events import SensorSize  # noqa: E402

CONFIGURATION = RvtConfiguration("tiny", ("a", "b"), SensorSize(128, 64), 1)


@pytest.fixture(scope="module")
def weights():
    own = RvtNetwork(CONFIGURATION).published_weights()
    made = patterned({name: tuple(value.shape) for name, value in own.items()})
    return {k: torch.from_numpy(v).to(own[k].dtype) for k, v in made.items()}


def run(inference):
    return np.stack([inference.step(counts(20, 64, 128, step)) for step in range(3)])


@pytest.mark.parametrize("backend", sorted(set(BACKENDS) - {"eager"}))
def test_backends_agree(weights, backend):
    if backend in ("onnxruntime", "openvino") and importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    if backend == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    plain = run(inference_of(CONFIGURATION, weights, "eager"))
    other = inference_of(CONFIGURATION, weights, backend)
    found = run(other)
    # Float32's limits of the issue: scores, and boxes in pixels.
    np.testing.assert_allclose(found[..., 4:], plain[..., 4:], atol=1e-5)
    np.testing.assert_allclose(found[..., :4], plain[..., :4], atol=5e-4)
    other.reset()
    np.testing.assert_allclose(run(other), found, atol=1e-6)


def test_the_default_works(weights):
    assert run(inference_of(CONFIGURATION, weights, "auto")).shape == (3, 168, 7)


def test_what_cannot_run_is_refused(weights):
    with pytest.raises(ParameterError, match="none of auto"):
        inference_of(CONFIGURATION, weights, "magic")
    if not torch.cuda.is_available():
        with pytest.raises(ParameterError, match="no CUDA device"):
            inference_of(CONFIGURATION, weights, "cuda")
