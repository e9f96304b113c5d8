import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="trainings need the extra rvt")
pytest.importorskip("evlib", reason="trainings need the extra rvt")

from evio_ros.detection.rvt_configuration import RvtConfiguration  # noqa: E402
from evio_ros.errors import SourceError  # noqa: E402
from evio_ros.events import SensorSize  # noqa: E402
from evio_ros.training.trainer import Trainer, TrainingParameters  # noqa: E402

CONFIGURATION = RvtConfiguration("tiny", ("rotor", "drone"), SensorSize(64, 64), 1, window_us=5000)
PARAMETERS = TrainingParameters(steps=12, streams=2, chunk=2, length=2, sequences=4, simulators=0)


def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path):
    whole = list(Trainer(CONFIGURATION, PARAMETERS, tmp_path / "a").run())
    first = Trainer(CONFIGURATION, PARAMETERS, tmp_path / "b")
    begun = list(itertools.islice(first.run(), 2))
    first.save()
    second = Trainer(CONFIGURATION, PARAMETERS, tmp_path / "b")
    assert second.step == 2
    begun += list(second.run())
    assert len(whole) == 5
    np.testing.assert_allclose(begun, whole, rtol=1e-4)


def test_another_process_simulates_the_same(tmp_path):
    few = {"steps": 2, "streams": 1, "chunk": 2, "length": 2, "sequences": 4}
    losses = [
        list(
            Trainer(CONFIGURATION, TrainingParameters(**few, simulators=n), tmp_path / str(n)).run()
        )
        for n in (0, 1)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_the_loss_falls(tmp_path):
    parameters = TrainingParameters(
        steps=15, streams=1, chunk=2, length=2, sequences=1, simulators=0
    )
    losses = list(Trainer(CONFIGURATION, parameters, tmp_path).run())
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


def test_other_parameters_do_not_go_on(tmp_path):
    Trainer(CONFIGURATION, PARAMETERS, tmp_path).save()
    with pytest.raises(SourceError, match="other parameters"):
        Trainer(CONFIGURATION, TrainingParameters(steps=13), tmp_path)


def test_averaged_weights_are_finite_and_complete(tmp_path):
    trainer = Trainer(CONFIGURATION, PARAMETERS, tmp_path)
    next(iter(trainer.run()))
    weights = trainer.averaged_weights()
    assert weights.keys() == trainer.network.published_weights().keys()
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())
