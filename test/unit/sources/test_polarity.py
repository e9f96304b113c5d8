"""Polarities of every known convention."""

from __future__ import annotations

import numpy as np
import pytest

from evio_ros.sources.polarity import PolarityConvention

ON = [True, False, False, True, False]


def polarity(values):
    return PolarityConvention(values).on_events(values)


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


@pytest.mark.parametrize(
    ("bright", "kind"),
    [
        (255, "B"),
        (255, "i"),
        (255, "d"),
        (65535, "H"),
        (4294967295, "I"),
        (18446744073709551615, "Q"),
    ],
)
def test_black_and_white_are_off_and_on(bright, kind):
    values = np.array([bright if on else 0 for on in ON], kind)
    assert polarity(values).tolist() == ON


def test_the_sample_decides_for_the_rest():
    wrapped = PolarityConvention(np.array([255, 1, 255], np.uint8))
    assert wrapped.on_events(np.array([255, 255, 0], np.uint8)).tolist() == [False, False, False]
    bright = PolarityConvention(np.array([255, 0, 255], np.uint8))
    assert bright.on_events(np.array([255, 255, 0], np.uint8)).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([0, 1, 1], "0, 1"),
        ([-1, 1], "-1, 1"),
        ([True, False], "False, True"),
        ([255, 1], "255, 1"),
        ([0, 255], "0, 255"),
        ([1], "0, 1"),
    ],
)
def test_a_convention_has_a_name(values, name):
    assert PolarityConvention(np.array(values)).name == name
