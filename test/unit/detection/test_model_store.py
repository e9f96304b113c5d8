from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="networks need the extra rvt")
pytest.importorskip("evlib", reason="networks need the extra rvt")

from evio_ros.detection.model_store import (  # noqa: E402
    find_model,
    import_checkpoint,
    stored_models,
)
from evio_ros.detection.rvt_configuration import GEN1  # noqa: E402
from evio_ros.detection.rvt_network import RvtNetwork  # noqa: E402
from evio_ros.errors import ParameterError, SourceError  # noqa: E402


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def checkpoint(home):
    weights = RvtNetwork(GEN1).published_weights()
    path = home / "rvt-t.ckpt"
    torch.save({"state_dict": {f"mdl.{k}": v for k, v in weights.items()}}, path)
    return path


def test_an_imported_checkpoint_is_listed_and_found(home, checkpoint):
    made = import_checkpoint(checkpoint)
    assert made.name == "rvt-t"
    assert made.configuration == GEN1
    assert find_model("rvt-t") == made.path
    assert find_model(str(made.path)) == made.path
    assert made in stored_models()


def test_half_the_numbers_are_half_the_size(home, checkpoint):
    whole = import_checkpoint(checkpoint, "whole").path.stat().st_size
    half = import_checkpoint(checkpoint, "half", half=True).path.stat().st_size
    assert half < 0.55 * whole


def test_files_that_are_no_models_are_not_listed(home, checkpoint):
    made = import_checkpoint(checkpoint)
    (made.path.parent / "other.safetensors").write_bytes(b"nothing")
    assert "other" not in [model.name for model in stored_models()]


@pytest.mark.parametrize("name", ["../a", "a/b", ".hidden", "/a"])
def test_names_that_are_paths_are_refused(home, checkpoint, name):
    with pytest.raises(ParameterError, match="not a plain file name"):
        import_checkpoint(checkpoint, name)


def test_unknown_names_are_named(home):
    with pytest.raises(SourceError, match="no model of this name; known: "):
        find_model("nothing")
    with pytest.raises(SourceError, match="no such model file"):
        find_model("./nothing.safetensors")


def test_a_folder_that_cannot_be_made_is_named(home, checkpoint):
    Path(home / "data").write_text("a file is in the way")
    with pytest.raises(SourceError):
        import_checkpoint(checkpoint)
