"""Which column of a table holds t, x, y and p: by its name, or by what its values can be.

Tables of events come with columns in any order, with names of many spellings, or with none. A name
may hold the unit of time, as `t_us`, `timestamp [s]` or `time(ns)`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from evio_ros.sources.time_unit import TimeUnit

__all__ = ["ROLES", "Layout", "layout_by_values", "named_columns", "role_of", "unit_named"]

ROLES = ("t", "x", "y", "p")
_STEMS = {
    "t": "t ts time times timestamp timestamps tstamp stamp sensortime",
    "x": "x xs xpos posx xposition xaddr xaddress xcoord xcoordinate xpixel pixelx col column u",
    "y": "y ys ypos posy yposition yaddr yaddress ycoord ycoordinate ypixel pixely row v",
    "p": "p ps pol pols polarity polarities on onoff ison sign",
}
_ROLE_OF_STEM = {stem: role for role, stems in _STEMS.items() for stem in stems.split()}
_UNITS: dict[TimeUnit, str] = {
    "s": "s sec secs second seconds",
    "ms": "ms msec msecs millis millisecond milliseconds",
    "us": "us \N{MICRO SIGN}s \N{GREEK SMALL LETTER MU}s usec usecs microsecond microseconds",
    "ns": "ns nsec nsecs nanos nanosecond nanoseconds",
}
_UNIT_OF_NAME: dict[str, TimeUnit] = {
    name: unit for unit, names in _UNITS.items() for name in names.split()
}
_PREFIXES = ("events", "event", "ev", "dvs", "cd")
_MOST_COLUMNS = 16
_LARGEST_COORDINATE = 1 << 14
_LEAST_RISING = 0.9
"""Share of steps of a column that must not go back for it to be time."""
_POLARITIES = ({0, 1}, {-1, 1}, {-1, 0}, {1, 255}, {0, 255}, {1, (1 << 16) - 1}, {1, (1 << 32) - 1})
"""Pairs of values that a column of polarities holds; the large ones are -1 without its sign."""


@dataclass(frozen=True, slots=True)
class _ColumnName:
    """What a column's name says.

    Attributes:
        role: t, x, y or p.
        unit: s, ms, us or ns; None where the name holds none.
    """

    role: str
    unit: TimeUnit | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the four columns are.

    Attributes:
        places: numbers of the columns of t, x, y and p.
        unit: unit of time that a name holds; None where none does.
        reason: what was taken for what, where the values had to tell; empty where names did.
    """

    places: tuple[int, int, int, int]
    unit: TimeUnit | None = None
    reason: str = ""


def role_of(name: str) -> _ColumnName | None:
    """What a column's name says; None where it says nothing."""
    text = name.strip().strip("\"'").lower()
    found = re.fullmatch(r"(.*?)[\s_]*[\[({<](.*?)[\])}>]", text)
    stem, unit = (found[1], _UNIT_OF_NAME.get(found[2].strip())) if found else (text, None)
    joined = re.sub(r"[\s_.\-/]+", "", stem)
    for prefix in ("", *_PREFIXES):
        rest = joined.removeprefix(prefix)
        role = _ROLE_OF_STEM.get(rest)
        if role is not None:
            return _ColumnName(role, unit if role == "t" else None)
        for ending, named in _UNIT_OF_NAME.items():
            if rest.endswith(ending) and _ROLE_OF_STEM.get(rest.removesuffix(ending)) == "t":
                return _ColumnName("t", named)
    return None


def unit_named(text: str) -> TimeUnit | None:
    """The unit of time s, ms, us or ns that a word means; None where it means none."""
    return _UNIT_OF_NAME.get(text.strip().lower())


def named_columns(names: Iterable[str]) -> Layout | None:
    """The layout that names tell; None where a role has no column. The first of a role counts."""
    places: dict[str, int] = {}
    unit = None
    for number, name in enumerate(names):
        said = role_of(name)
        if said is not None and said.role not in places:
            places[said.role] = number
            unit = said.unit or unit
    if len(places) < len(ROLES):
        return None
    t, x, y, p = (places[role] for role in ROLES)
    return Layout((t, x, y, p), unit)


def layout_by_values(
    sample: NDArray[np.float64],
    names: Sequence[str] | None = None,
    fractions: Collection[int] = (),
) -> Layout | None:
    """The layout that values tell: times rise, polarities are two, coordinates are bounded.

    Args:
        sample: float64 (n, k) some rows, in the table's order.
        names: of the k columns, where some have one; what they say is kept.
        fractions: columns that are written with fractions, be they 0.

    Returns:
        None where no choice of columns is plausible.
    """
    rows, columns = sample.shape
    columns = min(columns, _MOST_COLUMNS)
    if not rows or columns < len(ROLES):
        return None
    said = [role_of(name) for name in (names or [""] * columns)[:columns]]
    fixed = {name.role: k for k, name in reversed(list(enumerate(said))) if name is not None}
    if len(fractions) == columns:
        fractions = ()
    kinds = [_Values.of(sample[:, k], k in fractions) for k in range(columns)]
    best: tuple[tuple[float, ...], tuple[int, int, int, int]] | None = None
    for t, p in permutations(range(columns), 2):
        if not (kinds[t].may_be_time and kinds[p].may_be_polarity):
            continue
        places = _with_coordinates(t, p, kinds, fixed)
        if places is None:
            continue
        score = _score(places, kinds)
        if best is None or score > best[0]:
            best = score, places
    if best is None:
        return None
    unit = next((name.unit for name in said if name is not None and name.unit), None)
    order = sorted(zip(best[1], ROLES, strict=True))
    shown = " ".join(role for _, role in order)
    return Layout(best[1], unit, f"the columns have no names; taken for {shown} by their values")


@dataclass(frozen=True, slots=True)
class _Values:
    """What a column's values can be."""

    may_be_time: bool
    may_be_polarity: bool
    may_be_coordinate: bool
    is_whole: bool
    is_index: bool
    distinct: int
    span: float
    largest: float

    @classmethod
    def of(cls, values: NDArray[np.float64], has_fractions: bool) -> _Values:
        finite = bool(np.isfinite(values).all())
        if not finite:
            return cls(False, False, False, False, False, 0, 0.0, 0.0)
        lowest, largest = float(values.min()), float(values.max())
        whole = not has_fractions and bool((values == np.rint(values)).all())
        present = np.unique(values[:4096])
        steps = np.diff(values)
        rises = len(values) < 2 or (
            float(np.mean(steps >= 0)) >= _LEAST_RISING and (has_fractions or largest > lowest)
        )
        polarities = whole and len(present) <= 3 and _is_polarity({int(v) for v in present})
        return cls(
            rises,
            polarities,
            whole and lowest >= 0 and largest < _LARGEST_COORDINATE,
            whole,
            len(values) > 2 and bool((steps == 1).all()),
            len(present),
            largest - lowest,
            largest,
        )


def _is_polarity(values: set[int]) -> bool:
    return any(values <= pair for pair in _POLARITIES) or values == {-1, 0, 1}


def _with_coordinates(
    t: int, p: int, kinds: list[_Values], fixed: Mapping[str, int]
) -> tuple[int, int, int, int] | None:
    """The four places for a choice of t and p: x and y are the first columns that can be."""
    if fixed.get("t", t) != t or fixed.get("p", p) != p:
        return None
    free = [
        k
        for k, kind in enumerate(kinds)
        if k not in (t, p, *fixed.values()) and kind.may_be_coordinate
    ]
    # Rows may be numbered, and a column may say the same of all of them.
    for is_beside in (lambda kind: kind.is_index, lambda kind: kind.distinct == 1):
        rest = [k for k in free if not is_beside(kinds[k])]
        free = rest if len(rest) >= 2 else free
    x = fixed["x"] if "x" in fixed else (free.pop(0) if free else -1)
    y = fixed["y"] if "y" in fixed else (free.pop(0) if free else -1)
    if min(x, y) < 0 or len({t, x, y, p}) < len(ROLES):
        return None
    return t, x, y, p


def _score(places: tuple[int, int, int, int], kinds: list[_Values]) -> tuple[float, ...]:
    """Larger for the better choice; the usual order decides where values do not."""
    t, x, y, p = places
    return (
        # Nothing but time has fractions.
        not kinds[t].is_whole,
        # A column of one value may be anything.
        kinds[p].distinct > 1,
        kinds[x].largest > 1 or kinds[y].largest > 1,
        kinds[t].span > max(kinds[x].span, kinds[y].span),
        kinds[t].distinct,
        p == max(places),
        t == min(places),
    )
