import os
import pickle
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="networks need the extra rvt")
pytest.importorskip("evlib", reason="networks need the extra rvt")
pytest.importorskip("safetensors", reason="networks need the extra rvt")

from evio_ros.detection.model_file import (  # noqa: E402
    configuration_of_weights,
    read_checkpoint,
    read_configuration,
    read_model,
    write_model,
)
from evio_ros.detection.rvt_configuration import GEN4  # noqa: E402
from evio_ros.detection.rvt_network import RvtNetwork  # noqa: E402
from evio_ros.errors import ParameterError, SourceError  # noqa: E402


class Runs:
    """Asks to run a function where it is unpickled."""

    def __init__(self, function, *arguments):
        self.asked = function, arguments

    def __reduce__(self):
        return self.asked


@pytest.fixture(scope="module")
def weights():
    return RvtNetwork(GEN4).published_weights()


def checkpoint(path, weights, **others):
    state = {f"mdl.{name}": value for name, value in weights.items()}
    torch.save({"state_dict": state, "epoch": 3, **others}, path)
    return path


def test_a_checkpoint_becomes_a_model_file(tmp_path, weights):
    settings = {"path": Path("/data"), "nested": {"classes": [1, 2]}}
    file = checkpoint(tmp_path / "a.ckpt", weights, hyper_parameters=settings)
    found = read_checkpoint(file)
    configuration = configuration_of_weights(found)
    assert configuration == GEN4
    write_model(tmp_path / "a.safetensors", configuration, found)
    assert read_configuration(tmp_path / "a.safetensors") == GEN4
    again, kept = read_model(tmp_path / "a.safetensors")
    assert again == GEN4
    assert kept.keys() == weights.keys()
    assert all(torch.equal(kept[name], weights[name]) for name in weights)


@pytest.mark.parametrize(
    ("hostile", "named"),
    [
        (lambda mark: Runs(os.system, f"touch {mark}"), "posix.system"),
        (lambda mark: Runs(eval, f"open({str(mark)!r}, 'w')"), "builtins.eval"),
        (lambda _: Runs(__import__, "os"), "builtins.__import__"),
        (lambda mark: Runs(os.mkdir, str(mark)), "posix.mkdir"),
    ],
)
def test_a_checkpoint_that_runs_something_is_refused_and_not_run(tmp_path, weights, hostile, named):
    mark = tmp_path / "was_run"
    file = checkpoint(tmp_path / "a.ckpt", weights, settings=hostile(mark))
    with pytest.raises(SourceError, match=f"refused: it asks to run {named}"):
        read_checkpoint(file)
    assert not mark.exists()


def test_a_plain_pickle_is_refused_and_not_run(tmp_path):
    mark = tmp_path / "was_run"
    file = tmp_path / "a.ckpt"
    file.write_bytes(pickle.dumps(Runs(os.mkdir, str(mark))))
    with pytest.raises(SourceError, match="not a PyTorch checkpoint"):
        read_checkpoint(file)
    assert not mark.exists()


def test_broken_checkpoints_are_refused(tmp_path, weights):
    whole = checkpoint(tmp_path / "a.ckpt", weights).read_bytes()
    for number, content in enumerate((b"", b"text\n" * 99, whole[:9999], whole[: len(whole) // 2])):
        file = tmp_path / f"{number}.ckpt"
        file.write_bytes(content)
        with pytest.raises(SourceError, match="not a PyTorch checkpoint"):
            read_checkpoint(file)
    with pytest.raises(SourceError, match="no such file"):
        read_checkpoint(tmp_path / "missing.ckpt")
    for number, content in enumerate(({"state_dict": {}}, [1, 2], {"state_dict": 5})):
        file = tmp_path / f"empty{number}.ckpt"
        torch.save(content, file)
        with pytest.raises(SourceError, match="contains no weights"):
            read_checkpoint(file)


def test_other_files_are_no_models(tmp_path, weights):
    from safetensors.torch import save_file

    plain = tmp_path / "plain.safetensors"
    save_file({"a": torch.zeros(3)}, plain)
    with pytest.raises(SourceError, match="not written by evio_ros"):
        read_model(plain)
    save_file({"a": torch.zeros(3)}, plain, {"evio_ros.rvt": "{}"})
    with pytest.raises(SourceError, match="not a network configuration"):
        read_model(plain)
    with pytest.raises(SourceError, match="evio models import"):
        read_model(checkpoint(tmp_path / "a.ckpt", weights))
    with pytest.raises(SourceError, match="no such file"):
        read_model(tmp_path / "missing.safetensors")


def test_classes_must_fit(weights):
    with pytest.raises(ParameterError, match="2 classes are named, but the network has 3"):
        configuration_of_weights(weights, ("a", "b"))
    assert configuration_of_weights(weights, ("a", "b", "c")).classes == ("a", "b", "c")
    with pytest.raises(ParameterError, match="not of an RVT network"):
        configuration_of_weights({})
