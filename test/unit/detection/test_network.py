import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need the extra rvt")
pytest.importorskip("evlib", reason="networks need the extra rvt")

from rvt_weights import counts, patterned  # noqa: E402

from evio_ros.detection.model_file import write_model  # noqa: E402
from evio_ros.detection.network import NetworkParameters, open_network  # noqa: E402
from evio_ros.detection.rvt_configuration import RvtConfiguration  # noqa: E402
from evio_ros.detection.rvt_network import RvtNetwork  # noqa: E402
from evio_ros.errors import SourceError  # noqa: E402
from evio_ros.events import SensorSize  # noqa: E402

SIZE = SensorSize(64, 64)


def write(path, factor=1.0):
    configuration = RvtConfiguration("tiny", ("a", "b"), SIZE, 1)
    own = RvtNetwork(configuration).published_weights()
    made = patterned({name: tuple(value.shape) for name, value in own.items()})
    weights = {
        k: torch.from_numpy(np.asarray(factor * v)).to(own[k].dtype) for k, v in made.items()
    }
    write_model(path, configuration, weights)
    return path


def predictions(path, backend):
    name, network = open_network(NetworkParameters(str(path), backend))
    assert (name, network.backend) == (path.stem, backend)
    return np.stack([network.step(counts(20, 64, 64, step)) for step in range(3)])


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Where exported networks are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "evio_ros" / "networks"


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_an_exported_network_is_kept_and_needs_no_torch_the_next_time(tmp_path, kept, backend):
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    path = write(tmp_path / "model.safetensors")
    first = predictions(path, backend)
    (file,) = kept.iterdir()
    ask = (
        "import sys, numpy as np; sys.path[:0] = sys.argv[4:]\n"
        "from rvt_weights import counts\n"
        "from evio_ros.detection.network import NetworkParameters, open_network\n"
        "_, network = open_network(NetworkParameters(sys.argv[1], sys.argv[2]))\n"
        "np.save(sys.argv[3], [network.step(counts(20, 64, 64, step)) for step in range(3)])\n"
        "assert 'torch' not in sys.modules and 'evlib' not in sys.modules\n"
    )
    result = tmp_path / "predictions.npy"
    command = [sys.executable, "-c", ask, str(path), backend, str(result), *sys.path]
    subprocess.run(command, check=True)
    np.testing.assert_allclose(np.load(result), first, atol=1e-5)
    # Whatever has happened to the file, the network is the model's.
    file.write_bytes(file.read_bytes()[:1000])
    np.testing.assert_allclose(predictions(path, backend), first, atol=1e-5)
    assert len(file.read_bytes()) > 1000


def test_another_model_of_the_same_name_is_exported_anew(tmp_path, kept):
    pytest.importorskip("openvino", reason="openvino is not installed")
    path = write(tmp_path / "model.safetensors")
    first = predictions(path, "openvino")
    (before,) = kept.iterdir()
    write(path, factor=0.9)
    assert np.abs(predictions(path, "openvino") - first).max() > 1e-3
    (after,) = kept.iterdir()
    assert after != before


def test_where_nothing_can_be_kept_the_network_runs_all_the_same(tmp_path, kept):
    pytest.importorskip("openvino", reason="openvino is not installed")
    kept.parent.mkdir(parents=True)
    kept.write_text("a file where a folder should be")
    path = write(tmp_path / "model.safetensors")
    assert predictions(path, "openvino").shape == (3, 84, 7)


def test_a_model_that_does_not_exist_is_named():
    with pytest.raises(SourceError, match="no_such: no model of this name"):
        open_network(NetworkParameters("no_such"))
