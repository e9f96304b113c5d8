"""Polarity of every convention that files have."""

from __future__ import annotations

import numpy as np
import pytest

from evio_ros.sources.polarity import polarity

ON = [True, False, False, True, False]


@pytest.mark.parametrize(
    ("off", "kind"),
    [
        *((0, kind) for kind in "bBhHiIqQefd?"),
        *((-1, kind) for kind in "bhiqefd"),
        *((255, kind) for kind in "BhHiIqQfd"),
        *((65535, kind) for kind in "HiIqQfd"),
        *((4294967295, kind) for kind in "IqQfd"),
        *((18446744073709551615, kind) for kind in "Qfd"),
    ],
)
def test_on_is_told_from_off(off, kind):
    values = np.array([1 if on else off for on in ON], kind)
    values.flags.writeable = False
    assert polarity(values).tolist() == ON


def test_a_strided_column_becomes_contiguous():
    records = np.array([(1, 5), (255, 6), (0, 7)], [("p", "u1"), ("x", "u2")])
    found = polarity(records["p"])
    assert found.flags.c_contiguous
    assert found.tolist() == [True, False, False]


def test_an_empty_column_is_empty():
    assert polarity(np.empty(0, np.uint32)).shape == (0,)
