"""Accuracy does not get worse: short scenes against the figures of `bench/accuracy_baseline.json`.

The figures are made by `python bench/accuracy.py --quick --baseline bench/accuracy_baseline.json`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from evio_ros.evaluation.results import read_rows
from evio_ros.evaluation.runs import QUICK, run

BASELINE = Path(__file__).parents[3] / "bench" / "accuracy_baseline.json"
MARGIN = 1.5
"""How much larger an error may be: the scenes are short, and other machines round differently."""


@pytest.mark.parametrize("job", QUICK, ids=lambda job: job.name)
def test_short_scenes_are_as_accurate_as_they_were(job):
    before = {row.key: row.figures for row in read_rows(BASELINE)}
    for row in run(job):
        was, now = before[row.key], row.figures
        for name in ("median", "p95"):
            assert now[name] <= MARGIN * was[name], (row.key, name)
        for name in ("found", "sign", "blades"):
            assert now[name] >= was[name], (row.key, name)
        for name in ("missed", "false_windows", "identity_switches", "turn_slips"):
            assert now[name] <= was[name], (row.key, name)
