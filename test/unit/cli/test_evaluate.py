import json
import math

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch", reason="networks need the extra rvt")
pytest.importorskip("faster_coco_eval", reason="average precision needs the extra train")

from evio_ros.cli.main import app
from evio_ros.training import evaluation
from evio_ros.training.average_precision import DetectionQuality, QualityAtScore
from evio_ros.training.evaluation import ModelQuality

AT_SCORE = QualityAtScore(0.4, (0.8, math.nan), (0.6, math.nan), 30.0)
OF_TRACKS = QualityAtScore(0.0, (0.7, math.nan), (0.9, math.nan), 2.0)
QUALITY = ModelQuality(DetectionQuality((0.75, -1.0), (0.5, -1.0), 0.25, (AT_SCORE,)), OF_TRACKS)


@pytest.fixture
def printed(monkeypatch):
    asked = []

    def evaluate_model(*values):
        asked.append(values[6])
        return QUALITY

    monkeypatch.setattr(evaluation, "evaluate_model", evaluate_model)

    def run(*options):
        result = CliRunner().invoke(app, ["evaluate", "rotor", "--score", "0.4", *options])
        assert result.exit_code == 0, result.output
        assert asked == [(0.4,)]
        return result.stdout

    return run


def test_figures_are_told_by_class_and_score(printed):
    rows = {" ".join(line.split()[:-2]): line.split()[-2:] for line in printed().splitlines()[1:7]}
    assert rows == {
        "AP50": ["0.750", "-"],
        "AP50, published sizes": ["0.500", "-"],
        "recall at 0.4": ["0.800", "-"],
        "precision at 0.4": ["0.600", "-"],
        "recall of tracks": ["0.700", "-"],
        "precision of tracks": ["0.900", "-"],
    }


def test_false_alarms_are_told_of_boxes_and_of_tracks(printed):
    assert printed().splitlines()[-1].endswith(": 30.0 at 0.4, 2.0 of tracks")


def test_json_holds_null_for_what_cannot_be_told(printed):
    facts = json.loads(printed("--json"))
    assert facts["ap50"] == {"rotor": 0.75, "drone": None}
    assert facts["at_score"] == [
        {
            "score": 0.4,
            "recall": {"rotor": 0.8, "drone": None},
            "precision": {"rotor": 0.6, "drone": None},
            "false_alarms_a_minute": 30.0,
        }
    ]
    assert facts["tracks"] == {
        "recall": {"rotor": 0.7, "drone": None},
        "precision": {"rotor": 0.9, "drone": None},
        "false_alarms_a_minute": 2.0,
    }
