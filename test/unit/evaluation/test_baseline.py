"""Accuracy does not get worse: short scenes against the figures of `bench/accuracy_baseline.json`.

The figures are made by `python bench/accuracy.py --quick --baseline bench/accuracy_baseline.json`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[3] / "bench"
MARGIN = 1.5
"""How much larger an error may be: the scenes are short, and other machines round differently."""


@pytest.fixture(scope="module", autouse=True)
def bench_on_path():
    sys.path.insert(0, str(BENCH))
    yield
    sys.path.remove(str(BENCH))


@pytest.mark.parametrize("index", range(3))
def test_short_scenes_are_as_accurate_as_they_were(index):
    from accuracy_bench.results import read_rows
    from accuracy_bench.runs import QUICK, run

    before = {row.key: row.figures for row in read_rows(BENCH / "accuracy_baseline.json")}
    for row in run(QUICK[index]):
        was, now = before[row.key], row.figures
        for name in ("median", "p95"):
            assert now[name] <= MARGIN * was[name], (row.key, name)
        for name in ("found", "sign", "blades"):
            assert now[name] >= was[name], (row.key, name)
        for name in ("missed", "false_windows", "identity_switches", "turn_slips"):
            assert now[name] <= was[name], (row.key, name)
