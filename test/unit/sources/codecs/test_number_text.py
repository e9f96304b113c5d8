"""Numbers in text: however they are written, they equal Python's fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evio_ros.sources.codecs.number_text import PADDING_BYTES, parse_lines


def parse(text, *, places=(0, 1, 2, 3), delimiter=" ", point=".", exponent=0):
    data = text.encode()
    padded = np.frombuffer(data + b"\n" + bytes(PADDING_BYTES), np.uint8)
    size = len(data) // 2 + 2
    t, p = np.empty(size, np.int64), np.empty(size, np.int64)
    x, y = np.empty(size, np.uint16), np.empty(size, np.uint16)
    count, _, bad, _ = parse_lines(
        padded,
        len(data),
        np.array(places, np.int64),
        ord(delimiter),
        ord(point),
        exponent,
        t,
        x,
        y,
        p,
    )
    rows = zip(*(column[:count].tolist() for column in (t, x, y, p)), strict=True)
    return list(rows), bad


def nearest(value: Fraction) -> int:
    """The nearest whole number; of two, the one farther from 0."""
    whole = (2 * abs(value) + 1) // 2
    return int(whole if value >= 0 else -whole)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 10**17), st.integers(0, 17), st.integers(-3, 6), st.sampled_from(["", "-", "+"])
)
def test_a_number_with_a_fraction_is_rounded_to_the_nearest(digits, fraction, exponent, sign):
    text = str(digits).rjust(fraction + 1, "0")
    text = f"{sign}{text[: len(text) - fraction]}.{text[len(text) - fraction :]}"
    value = Fraction(text.rstrip(".") if fraction else text[:-1]) * Fraction(10) ** exponent
    if abs(value) < 10**18:
        assert parse(f"{text} 1 2 1", exponent=exponent)[0] == [(nearest(value), 1, 2, 1)]


@settings(max_examples=300, deadline=None)
@given(st.floats(0, 1e9), st.sampled_from(["{!r}", "{:.18e}", "{:.9e}", "{:g}", "{:.6f}"]))
def test_floats_as_python_writes_them(value, form):
    text = form.format(value)
    assert parse(f"{text} 1 2 1", exponent=6)[0] == [(nearest(Fraction(text) * 10**6), 1, 2, 1)]


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 4 * 10**9),
    st.integers(0, 10**9 - 1),
    st.integers(0, 60_000),
    st.sampled_from(["{}.0", "{}.00", "{}", "{}."]),
    st.sampled_from([("\t", "."), (";", ","), (" ", ".")]),
)
def test_coordinates_that_were_floats_and_times_to_the_nanosecond(seconds, ns, x, form, marks):
    delimiter, point = marks
    fields = [f"{seconds}.{ns:09d}", form.format(x), form.format(7), form.format(1)]
    text = delimiter.join(field.replace(".", point) for field in fields)
    (found,), bad = parse(text, delimiter=delimiter, point=point, exponent=6)
    assert (found, bad) == ((nearest(Fraction(seconds * 10**9 + ns, 1000)), x, 7, 1), -1)


@pytest.mark.parametrize("text", ["1 2.5 3 1", "1 2.05 3 1", "1 2 3 0.5", "1 2.0x 3 1"])
def test_coordinates_with_fractions_are_no_event(text):
    assert parse(text) == ([], 0)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-(10**17), 10**17),
            st.integers(0, 65534),
            st.integers(0, 65534),
            st.integers(-1, 1),
        ),
        max_size=30,
    ),
    st.permutations((0, 1, 2, 3)),
    st.sampled_from([" ", ",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n", " \n", "\n\n", "\n# a comment, 1 2 3 4\n"]),
    st.booleans(),
)
def test_whole_numbers_in_any_order(rows, order, delimiter, ending, spaced):
    mark = f" {delimiter} " if spaced else delimiter
    text = "".join(mark.join(str(row[place]) for place in order) + ending for row in rows)
    assert parse(text, places=order, delimiter=delimiter) == (rows, -1)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("2e-05 1 2 1", (20, 1, 2, 1)),
        ("2E-5 1.0 2.000 1e0", (20, 1, 2, 1)),
        ("0.25 1.5e2 3.020000000000000000e+02 0.0", (250_000, 150, 302, 0)),
        ("1 2 3 True", (10**6, 2, 3, 1)),
        ("1 2 3 false", (10**6, 2, 3, 0)),
        ("1 2 3 ON", (10**6, 2, 3, 1)),
        ("1 2 3 off", (10**6, 2, 3, 0)),
        ("1 2 3 4294967295", (10**6, 2, 3, 4294967295)),
        ("1 -2 70000 1", (10**6, 65535, 65535, 1)),
        ("(1 2 3 1)", (10**6, 2, 3, 1)),
        ('"1" "2" "3" "1"', (10**6, 2, 3, 1)),
        (".5 2 3 1", (500_000, 2, 3, 1)),
        ("1e-300 2 3 1", (0, 2, 3, 1)),
        ("1573195687.650001 2 3 1", (1_573_195_687_650_001, 2, 3, 1)),
        ("1573195687.6500014999999999999 2 3 1", (1_573_195_687_650_001, 2, 3, 1)),
    ],
)
def test_other_ways_of_writing(text, row):
    assert parse(text, exponent=6) == ([row], -1)


def test_a_comma_may_be_the_point():
    assert parse("0,5;1;2;1", delimiter=";", point=",", exponent=3)[0] == [(500, 1, 2, 1)]


def test_nanoseconds_of_the_unix_epoch_fit():
    row = (1_573_195_687_650_001, 2, 3, 1)
    assert parse("1573195687650001499 2 3 1", exponent=-3)[0] == [row]


@pytest.mark.parametrize(
    "text",
    [
        "1 2 3",
        "1 2 3 1 5",
        "1 2 3 2",
        "1 2.5 3 1",
        "1 2 3e-1 1",
        "nan 2 3 1",
        "1 inf 3 1",
        "1e 2 3 1",
        "1e400 2 3 1",
        "99999999999999999999 2 3 1",
        "1..2 2 3 1",
        "- 2 3 1",
        "1 2 3 yes",
        "1,2,3,1",
    ],
)
def test_what_is_no_event_is_passed_over_and_told_by_its_place(text):
    assert parse(f"5 1 2 1\n{text}\n6 1 2 1\n{text}") == ([(5, 1, 2, 1), (6, 1, 2, 1)], 8)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from('0123456789.eE+-,; \t\r\n#%"()TtFfOonNaA\x00\xff'), max_size=200))
def test_any_text_is_rows_or_bad_lines(text):
    rows, bad = parse(text, delimiter=",")
    assert bad == -1 or 0 <= bad < len(text.encode())
    alone = [parse(line, delimiter=",") for line in text.split("\n")]
    assert rows == [row for found, _ in alone for row in found]
    assert (bad < 0) == all(each < 0 for _, each in alone)
