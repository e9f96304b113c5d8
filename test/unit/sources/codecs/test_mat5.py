"""MAT files of level 5, written by scipy, and by hand for what scipy does not write."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.io import savemat

from evio_ros.errors import EventError
from evio_ros.sources.codecs.mat5 import read_mat5

KINDS = st.sampled_from(["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "?"])
ARRAYS = arrays.arrays(KINDS, arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)
VALUES = st.recursive(
    ARRAYS | TEXTS,
    lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=4),
    max_leaves=8,
)


def saved(variables, *, packed=False):
    file = io.BytesIO()
    savemat(file, variables, do_compression=packed)
    return file.getvalue()


def squeezed(value):
    """A value as it is read."""
    if isinstance(value, dict):
        return {name: squeezed(inner) for name, inner in value.items()}
    if isinstance(value, str):
        return value
    return np.squeeze(value) if value.size else np.empty(0)


def assert_same(found, right):
    assert type(found) is type(right)
    if isinstance(right, dict):
        assert found.keys() == right.keys()
        for name, value in right.items():
            assert_same(found[name], value)
    elif isinstance(right, str):
        assert found == right
    else:
        assert found.shape == right.shape
        np.testing.assert_array_equal(found, right)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), st.booleans())
def test_what_is_written_comes_back(variables, packed):
    assert_same(read_mat5(saved(variables, packed=packed)), squeezed(variables))


def test_what_is_left_out_is_named():
    cells = np.empty(2, object)
    cells[:] = [np.arange(3), "text"]
    structures = np.array([(1, 2.0), (3, 4.0)], [("a", "i4"), ("b", "f8")])
    complex_ones = np.array([1 + 2j])
    found = read_mat5(saved({"cells": cells, "s": structures, "z": complex_ones, "x": 5}))
    assert found.pop("x") == 5
    assert {name: one.what for name, one in found.items()} == {
        "cells": "a cell array",
        "s": "an array of structures",
        "z": "complex numbers",
    }


def element(order, kind, content):
    tag = struct.pack(f"{order}II", kind, len(content))
    return tag + content + bytes(-len(content) % 8)


@pytest.mark.parametrize(("order", "mark"), [("<", b"IM"), (">", b"MI")])
def test_both_orders_of_bytes_small_elements_and_wide_texts(order, mark):
    def matrix(kind, shape, name, *parts):
        flags = element(order, 6, struct.pack(f"{order}II", kind, 0))
        sides = element(order, 5, struct.pack(f"{order}{len(shape)}i", *shape))
        return element(order, 14, flags + sides + element(order, 1, name) + b"".join(parts))

    # Two values in a small element: their type and size share the first four bytes of the tag.
    numbers = struct.pack(f"{order}I", 4 << 16 | 3) + struct.pack(f"{order}hh", -7, 300)
    text = element(order, 17, "Ärger".encode("utf-16-le" if order == "<" else "utf-16-be"))
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", 0x100) + mark
    file = header + matrix(6, (1, 2), b"n", numbers) + matrix(4, (1, 5), b"t", text)
    found = read_mat5(file)
    assert found["n"].tolist() == [-7, 300]
    assert found["t"] == "Ärger"


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_is_cut_off_anywhere_is_refused(packed):
    whole = saved({"t": np.arange(40), "s": {"x": np.arange(9.0), "name": "a text"}}, packed=packed)
    ends = [128]
    for end in range(len(whole)):
        try:
            assert len(read_mat5(whole[:end])) < 2
            ends.append(end)
        except EventError:
            continue
    # Truncation between two variables cannot be noticed.
    assert len(set(ends)) <= 2


def test_what_would_unpack_to_more_than_it_says_is_cut_at_that():
    import zlib

    content = struct.pack("<II", 14, 16) + bytes(1 << 20)
    header = saved({"x": 1})[:128]
    with pytest.raises(EventError):
        read_mat5(header + element("<", 15, zlib.compress(content)))
    huge = struct.pack("<II", 14, (1 << 32) - 1) + bytes(99)
    with pytest.raises(EventError, match="larger than the format allows"):
        read_mat5(header + element("<", 15, zlib.compress(huge)))


def test_structures_in_one_another_have_a_bound():
    value = {"x": 1}
    for _ in range(30):
        value = {"s": value}
    with pytest.raises(EventError, match="are nested more than"):
        read_mat5(saved({"s": value}))
