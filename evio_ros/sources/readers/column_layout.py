"""Which columns of a table are t, x, y and p: by their names, or by their values.

Tables of events have their columns in any order, with names of many spellings, or without names. A
name may contain the unit of time, as `t_us`, `timestamp [s]` or `time(ns)`. Times may be in two
columns, one of whole seconds and one of the rest, as in ROS.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from evio_ros.sources.time_unit import TimeUnit

__all__ = [
    "ROLES",
    "Layout",
    "is_pixel_pair",
    "layout_by_values",
    "named_columns",
    "role_of",
    "unit_named",
]

ROLES = ("t", "x", "y", "p")
_STEMS = {
    "t": "t ts time times timestamp timestamps tstamp stamp sensortime",
    "x": "x xs col column u",
    "y": "y ys row v",
    "p": "p ps pol pols polarity polarities on onoff ison sign",
}
_PIXEL_WORDS = "pos position addr address coord coordinate pixel loc location"
"""Words before or after x and y, possibly in the plural."""
_PAIRS = {"xy", "xys"} | {
    word + ending for word in _PIXEL_WORDS.split() for ending in ("", "s", "xy")
}
_ROLE_OF_STEM = {stem: role for role, stems in _STEMS.items() for stem in stems.split()} | {
    joined: side
    for side in "xy"
    for word in _PIXEL_WORDS.split()
    for plural in (word, f"{word}s", f"{word}es")
    for joined in (side + plural, plural + side, plural.removesuffix("s") + f"{side}s")
}
_UNITS: dict[TimeUnit, str] = {
    "s": "s sec secs second seconds",
    "ms": "ms msec msecs millis millisecond milliseconds",
    "us": (
        "us \N{MICRO SIGN}s \N{GREEK SMALL LETTER MU}s usec usecs microsec microsecs microsecond "
        "microseconds"
    ),
    "ns": "ns nsec nsecs nanos nanosec nanosecs nanosecond nanoseconds",
}
_UNIT_OF_NAME: dict[str, TimeUnit] = {
    name: unit for unit, names in _UNITS.items() for name in names.split()
}
_SECONDS = re.compile(r"(.*?)secs?(?:onds?)?")
_PARTS_OF_SECONDS: dict[TimeUnit, re.Pattern[str]] = {
    "ns": re.compile(r"(.*?)(?:nsecs?|nanosecs?|nanoseconds?)"),
    "us": re.compile(r"(.*?)(?:usecs?|microsecs?|microseconds?)"),
}
"""Names of the two columns of times, without blanks and punctuation."""
_EPOCH_S = (1e9, 2.3e9)
"""Range of whole seconds of the Unix epoch, 2001 to 2042."""
_PREFIXES = ("events", "event", "ev", "dvs", "cd", "datasetevents")
"""Prefixes of names; the last is EVIMO2's."""
_MOST_COLUMNS = 16
_LEAST_FILLED = 0.5
"""Minimum share of numbers in a column of t, x, y or p."""
_LARGEST_COORDINATE = 1 << 14
_LEAST_RISING = 0.9
"""Minimum share of steps that do not go back in a column of times."""
_FEWEST_UNSORTED = 64
_MOST_BEHIND = 0.5
"""Maximum lag of unsorted times behind earlier ones, as a share of the time of all rows."""
_POLARITIES = (
    {0, 1},
    {-1, 1},
    {-1, 0},
    {1, 255},
    {0, 255},
    {1, (1 << 16) - 1},
    {1, (1 << 32) - 1},
)
"""Pairs of values in a column of polarities; the large ones are -1 without its sign."""


@dataclass(frozen=True, slots=True)
class _ColumnName:
    """Meaning of a column's name.

    Attributes:
        role: t, x, y or p.
        unit: s, ms, us or ns; None if the name has none.
    """

    role: str
    unit: TimeUnit | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Positions of the four columns.

    Attributes:
        places: numbers of the columns of t, x, y and p.
        unit: unit of time in a name; None if there is none.
        reason: which columns were chosen, if by their values; "" if by their names.
        seconds: number of the column of whole seconds if t is only the rest, in `unit`; None if
            times are in one column.
    """

    places: tuple[int, int, int, int]
    unit: TimeUnit | None = None
    reason: str = ""
    seconds: int | None = None

    @property
    def all_places(self) -> tuple[int, ...]:
        """Numbers of the columns of t, x, y and p, and of whole seconds if there is one."""
        return self.places if self.seconds is None else (*self.places, self.seconds)


def role_of(name: str) -> _ColumnName | None:
    """Meaning of a column's name; None if it has none."""
    text = name.strip().strip("\"'").lower()
    found = re.fullmatch(r"(.*?)[\s_]*[\[({<](.*?)[\])}>]", text)
    stem, unit = (found[1], _UNIT_OF_NAME.get(found[2].strip())) if found else (text, None)
    joined = _joined(stem)
    for prefix in ("", *_PREFIXES):
        rest = joined.removeprefix(prefix)
        role = _ROLE_OF_STEM.get(rest)
        if role is not None:
            return _ColumnName(role, unit if role == "t" else None)
        for ending, named in _UNIT_OF_NAME.items():
            if rest.endswith(ending) and _ROLE_OF_STEM.get(rest.removesuffix(ending)) == "t":
                return _ColumnName("t", named)
    return None


def _joined(name: str) -> str:
    return re.sub(r"[\s_.\-/]+", "", name.strip().strip("\"'").lower())


def is_pixel_pair(name: str) -> bool:
    """Whether an array with this name may contain both x and y."""
    return _joined(name.lower().split("_")[-1]) in _PAIRS


def unit_named(text: str) -> TimeUnit | None:
    """The unit of time s, ms, us or ns with a given name; None for other words."""
    return _UNIT_OF_NAME.get(text.strip().lower())


def named_columns(names: Iterable[str]) -> Layout | None:
    """The layout by names; None if a role has no column. The first column of a role counts."""
    names = list(names)
    pair = _seconds_pair(names)
    places: dict[str, int] = {}
    unit, seconds = None, None
    if pair is not None:
        seconds, places["t"], unit = pair
    for number, name in enumerate(names):
        said = role_of(name)
        if said is not None and said.role not in places:
            places[said.role] = number
            unit = said.unit or unit
    if len(places) < len(ROLES):
        return None
    t, x, y, p = (places[role] for role in ROLES)
    return Layout((t, x, y, p), unit, seconds=seconds)


def _seconds_pair(names: Sequence[str]) -> tuple[int, int, TimeUnit] | None:
    """Numbers of the columns of whole seconds and of their fractions, and the fractions' unit."""
    joined = [_joined(name) for name in names]
    seconds = {found[1]: k for k, name in enumerate(joined) if (found := _SECONDS.fullmatch(name))}
    for k, name in enumerate(joined):
        for unit, pattern in _PARTS_OF_SECONDS.items():
            found = pattern.fullmatch(name)
            if found and found[1] in seconds and (not found[1] or role_of(found[1])):
                return seconds[found[1]], k, unit
    return None


def layout_by_values(
    sample: NDArray[np.float64],
    names: Sequence[str] | None = None,
    fractions: Collection[int] = (),
) -> Layout | None:
    """The layout by values: times rise, polarities have two values, coordinates are bounded.

    Args:
        sample: float64 (n, k), some rows in the table's order.
        names: of the k columns, if some have one; roles given by names are kept.
        fractions: columns that are written with fractions, even if these are 0.

    Returns:
        The layout; None if no choice of columns is plausible.
    """
    finite = np.isfinite(sample)
    # Incomplete rows are ignored; incomplete columns may have another meaning.
    sample = sample[finite[:, finite.mean(axis=0) > _LEAST_FILLED].all(axis=1)]
    rows, columns = sample.shape
    columns = min(columns, _MOST_COLUMNS)
    if not rows or columns < len(ROLES):
        return None
    said = [role_of(name) for name in (names or [""] * columns)[:columns]]
    fixed = {name.role: k for k, name in reversed(list(enumerate(said))) if name is not None}
    if len(fractions) == columns:
        fractions = ()
    pair = None if fractions or "t" in fixed else _seconds_by_values(sample[:, :columns])
    if pair is not None:
        sample = sample.copy()
        sample[:, pair[1]] += sample[:, pair[0]] * (1e9 if pair[2] == "ns" else 1e6)
        fixed["t"], fixed["seconds"] = pair[1], pair[0]
    places = _best_places(sample[:, :columns], fractions, fixed)
    if places is None:
        return None
    unit = next((name.unit for name in said if name is not None and name.unit), None)
    order = list(zip(places, ROLES, strict=True))
    seconds = None
    if pair is not None:
        seconds, _, unit = pair
        order = [(seconds, "seconds"), (places[0], f"{unit} of t"), *order[1:]]
    shown = " ".join(role for _, role in sorted(order))
    reason = f"the columns have no names; read as {shown} by their values"
    return Layout(places, unit, reason, seconds)


def _best_places(
    sample: NDArray[np.float64], fractions: Collection[int], fixed: Mapping[str, int]
) -> tuple[int, int, int, int] | None:
    """The columns of t, x, y and p; if none rises, one that rises on the whole is the time."""
    columns = range(sample.shape[1])
    kinds = [_Values.of(sample[:, k], k in fractions) for k in columns]
    best: tuple[tuple[float, ...], tuple[int, int, int, int]] | None = None
    if not any(kind.may_be_time and kind.distinct > 2 and not kind.is_index for kind in kinds):
        rising = [kinds[k].may_be_time or _rises_roughly(sample[:, k]) for k in columns]
        kinds = [replace(kinds[k], may_be_time=rising[k]) for k in columns]
    for t, p in permutations(columns, 2):
        if not (kinds[t].may_be_time and kinds[p].may_be_polarity):
            continue
        places = _with_coordinates(t, p, kinds, fixed)
        if places is None:
            continue
        score = _score(places, kinds)
        if best is None or score > best[0]:
            best = score, places
    return None if best is None else best[1]


def _rises_roughly(values: NDArray[np.float64]) -> bool:
    """Whether no value is far behind earlier ones, as for times of unsorted events."""
    if len(values) < _FEWEST_UNSORTED or not np.isfinite(values).all():
        return False
    behind = np.maximum.accumulate(values) - values
    return bool(0 < behind.max() <= _MOST_BEHIND * np.ptp(values))


def _seconds_by_values(sample: NDArray[np.float64]) -> tuple[int, int, TimeUnit] | None:
    """The same as `_seconds_pair`, for two adjacent columns, by their values.

    Whole seconds increase by 1 where the rest goes back; or they are seconds of the Unix epoch.
    """
    rows, columns = sample.shape
    for k in range(columns - 1 if columns > len(ROLES) and rows > 1 else 0):
        seconds, rest = sample[:, k], sample[:, k + 1]
        if not np.isfinite(sample[:, k : k + 2]).all() or (seconds % 1).any() or (rest % 1).any():
            continue
        steps, most = np.diff(seconds), float(rest.max())
        if rest.min() < 0 or most >= 1e9 or most < 1e3 or not np.isin(steps, (0, 1)).all():
            continue
        unit: TimeUnit = "ns" if most >= 1e6 else "us"
        turns = steps > 0
        are_turns = bool((np.diff(rest)[turns] < 0).all()) and bool(turns.any())
        is_epoch = _EPOCH_S[0] <= seconds[0] <= _EPOCH_S[1]
        rises = float(np.mean(np.diff(rest)[~turns] >= 0)) if not turns.all() else 0.0
        if rises >= _LEAST_RISING and (are_turns or (is_epoch and not turns.any())):
            return k, k + 1, unit
    return None


@dataclass(frozen=True, slots=True)
class _Values:
    """Properties of a column's values."""

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
    return any(values <= pair for pair in _POLARITIES) or values in ({-1, 0, 1}, {1, 2})


def _with_coordinates(
    t: int, p: int, kinds: list[_Values], fixed: Mapping[str, int]
) -> tuple[int, int, int, int] | None:
    """The four columns for a choice of t and p: x and y are the first possible ones."""
    if fixed.get("t", t) != t or fixed.get("p", p) != p:
        return None
    free = [
        k
        for k, kind in enumerate(kinds)
        if k not in (t, p, *fixed.values()) and kind.may_be_coordinate
    ]
    # Rows may be numbered, and a column may have the same value in all of them.
    for is_beside in (lambda kind: kind.is_index, lambda kind: kind.distinct == 1):
        rest = [k for k in free if not is_beside(kinds[k])]
        free = rest if len(rest) >= 2 else free
    x = fixed["x"] if "x" in fixed else (free.pop(0) if free else -1)
    y = fixed["y"] if "y" in fixed else (free.pop(0) if free else -1)
    if min(x, y) < 0 or len({t, x, y, p}) < len(ROLES):
        return None
    return t, x, y, p


def _score(places: tuple[int, int, int, int], kinds: list[_Values]) -> tuple[float, ...]:
    """Larger for the better choice; the usual order decides if the values do not."""
    t, x, y, p = places
    return (
        # Only times have fractions.
        not kinds[t].is_whole,
        # Row numbers are not times if another column is possible.
        not (kinds[t].is_index and len(kinds) > len(ROLES)),
        # A column with a single value may be anything.
        kinds[p].distinct > 1,
        kinds[x].largest > 1 or kinds[y].largest > 1,
        kinds[t].span > max(kinds[x].span, kinds[y].span),
        kinds[t].distinct,
        # With too few rows to decide, times are the largest numbers.
        kinds[t].largest > max(kinds[x].largest, kinds[y].largest),
        p == max(places),
        t == min(places),
    )
