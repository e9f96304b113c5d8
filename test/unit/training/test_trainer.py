import dataclasses
import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="trainings need the extra rvt")
pytest.importorskip("evlib", reason="trainings need the extra rvt")

from evio_ros.detection.rvt_configuration import RvtConfiguration  # noqa: E402
from evio_ros.errors import SourceError  # noqa: E402
from evio_ros.events import SensorSize  # noqa: E402
from evio_ros.training import trainer as trainer_module  # noqa: E402
from evio_ros.training.sequences import Sequence  # noqa: E402
from evio_ros.training.trainer import Trainer, TrainingParameters  # noqa: E402

CONFIGURATION = RvtConfiguration("nano", ("rotor", "drone"), SensorSize(64, 64), 1, window_us=5000)
PARAMETERS = TrainingParameters(
    steps=12, streams=2, chunk=2, length=4, sequences=4, first_sequences=4
)


def losses_of(folder, simulators=0, **values):
    parameters = dataclasses.replace(PARAMETERS, **values)
    return list(Trainer(CONFIGURATION, parameters, folder, simulators=simulators).run())


def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path):
    whole = losses_of(tmp_path / "a", steps=6)
    parameters = dataclasses.replace(PARAMETERS, steps=6)
    # Within a sequence, so that the network's memory is needed too.
    first = Trainer(CONFIGURATION, parameters, tmp_path / "a", simulators=0)
    begun = list(itertools.islice(first.run(), 3))
    first.save()
    second = Trainer(CONFIGURATION, parameters, tmp_path / "a", simulators=0)
    assert second.step == 3
    np.testing.assert_allclose(begun + list(second.run()), whole, rtol=1e-4)


def test_another_process_simulates_the_same(tmp_path):
    few = {"steps": 2, "streams": 1, "length": 2}
    np.testing.assert_allclose(
        losses_of(tmp_path / "0", 0, **few), losses_of(tmp_path / "1", 1, **few), rtol=1e-4
    )


def test_what_is_always_the_same_is_learned(tmp_path, monkeypatch):
    inputs = np.zeros((2, 20, 64, 64), np.uint8)
    inputs[:, :, 16:40, 8:32] = 5
    same = Sequence(inputs, (np.array([[1.0, 8, 16, 32, 40]]),) * 2, "block")
    monkeypatch.setattr(trainer_module, "kept_sequence", lambda *_: same)
    monkeypatch.setattr(trainer_module, "augmented", lambda sequence, _: sequence)
    losses = losses_of(tmp_path, steps=30, length=2, learning_rate=3e-3, overlaid=0.0)
    assert np.mean(losses[-3:]) < 0.6 * np.mean(losses[:3])


def test_other_parameters_do_not_go_on(tmp_path):
    Trainer(CONFIGURATION, PARAMETERS, tmp_path).save()
    with pytest.raises(SourceError, match="other parameters"):
        Trainer(CONFIGURATION, TrainingParameters(steps=13), tmp_path)


def test_a_training_goes_on_from_given_weights(tmp_path):
    given = Trainer(CONFIGURATION, PARAMETERS, tmp_path).network.published_weights()
    given = {name: value + 1 for name, value in given.items()}
    trainer = Trainer(CONFIGURATION, PARAMETERS, tmp_path, first_weights=given)
    for name, value in trainer.averaged_weights().items():
        torch.testing.assert_close(value, given[name])


def test_averaged_weights_are_finite_and_complete(tmp_path):
    trainer = Trainer(CONFIGURATION, PARAMETERS, tmp_path, simulators=0)
    next(iter(trainer.run()))
    weights = trainer.averaged_weights()
    assert weights.keys() == trainer.network.published_weights().keys()
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())
