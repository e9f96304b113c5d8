import sys

import pytest


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("models", "import", "a.ckpt"), "evio_ros[rvt]"),
        (("train", "a.safetensors"), "evio_ros[train]"),
    ],
    ids=["import", "train"],
)
def test_without_pytorch_it_is_said_what_to_install(evio, monkeypatch, tmp_path, arguments, extra):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "torch", None)
    for module in ("detection.rvt_network", "training.trainer"):
        monkeypatch.delitem(sys.modules, f"evio_ros.{module}", raising=False)
    outcome = evio(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert f"pip install '{extra}'" in outcome.err
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
