"""Tables of the figures for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from evio_ros.evaluation.goals import goal
from evio_ros.evaluation.results import Row


def accuracy_table(rows: list[Row]) -> Table:
    """Errors compared with the goals, and cost."""
    table = _table(
        "relative error of the speed, and cost",
        ("scene", "method"),
        (
            "window",
            "median",
            "95 %",
            "goal",
            "worst rotor",
            "bias",
            "sign",
            "blades",
            "1 sigma",
            "2 sigma",
            "conf",
            "right",
            "Mev/s",
            "locked",
            "latency",
        ),
    )
    for row in rows:
        f = row.figures
        if not f["rotors"]:
            continue
        table.add_row(
            row.scene,
            row.method,
            f"{row.window_ms:g} ms",
            _judged(f["median"], goal(row.scene, row.window_ms)),
            _judged(f["p95"], _triple(goal(row.scene, row.window_ms))),
            error_text(goal(row.scene, row.window_ms)),
            error_text(f["worst_median"]),
            error_text(f["bias"]),
            share_text(f["sign"]),
            share_text(f["blades"]),
            share_text(f["within_1_sigma"]),
            share_text(f["within_2_sigma"]),
            share_text(f["confidence"]),
            share_text(f["right"]),
            _number(f["mev_s"], 1),
            _number(f["locked_mev_s"], 1),
            f"{_number(f['latency_ms'], 2)}/{_number(f['latency_p95_ms'], 1)} ms",
        )
    return table


def failures_table(rows: list[Row]) -> Table:
    """Detection and failures of rotors."""
    table = _table(
        "detection",
        ("scene", "method"),
        (
            "window",
            "found",
            "after",
            "windows",
            "missed",
            "false rotors",
            "false windows",
            "unsure",
            "id switches",
            "turn slips",
            "slow rpm error",
            "after a step",
            "stop seen",
        ),
    )
    for row in rows:
        f = row.figures
        table.add_row(
            row.scene,
            row.method,
            f"{row.window_ms:g} ms",
            _found(f),
            f"{_number(f['detection_ms'], 0)} ms",
            str(f["windows"]),
            _marked(share_text(f["missed"]), bool(f["missed"])),
            _marked(str(f["false_rotors"]), f["false_rotors"] > 0),
            str(f["false_windows"]),
            str(f["weak_windows"]),
            _marked(str(f["identity_switches"]), f["identity_switches"] > 0),
            _marked(str(f["turn_slips"]), f["turn_slips"] > 0),
            _number(f["slow_rpm"], 2),
            _time(f["recovery_ms"]),
            _time(f["stop_ms"]),
        )
    return table


def reliability_table(rows: list[Row]) -> Table:
    """Share of correct estimates by confidence, over all scenes and windows."""
    table = Table(title="confidence, all scenes and windows together")
    for name in ("method", "confidence", "estimates", "right to 1 %"):
        table.add_column(name, justify="right")
    for method in dict.fromkeys(row.method for row in rows):
        bins = [row.figures.get("reliability") for row in rows if row.method == method]
        totals = [
            [sum(pair) for pair in zip(*same, strict=True)]
            for same in zip(*filter(None, bins), strict=True)
        ]
        for index, (count, right) in enumerate(totals):
            low, high = index / len(totals), (index + 1) / len(totals)
            share = share_text(right / count) if count else "-"
            table.add_row(method, f"{low:.1f} to {high:.1f}", str(count), share)
    return table


def comparison_table(before: list[Row], after: list[Row]) -> Table:
    """Errors before and after, and their ratio."""
    table = _table(
        "before and after",
        ("scene", "method"),
        (
            "window",
            "median",
            "ratio",
            "95 %",
            "ratio",
            "missed",
            "false",
            "1 sigma",
            "locked",
        ),
    )
    old = {row.key: row.figures for row in before}
    for row in after:
        if row.key not in old:
            continue
        earlier, now = old[row.key], row.figures
        table.add_row(
            row.scene,
            row.method,
            f"{row.window_ms:g} ms",
            f"{error_text(earlier['median'])} → {error_text(now['median'])}",
            _ratio(earlier["median"], now["median"]),
            f"{error_text(earlier['p95'])} → {error_text(now['p95'])}",
            _ratio(earlier["p95"], now["p95"]),
            f"{share_text(earlier['missed'])} → {share_text(now['missed'])}",
            f"{earlier['false_windows']} → {now['false_windows']}",
            f"{share_text(earlier['within_1_sigma'])} → {share_text(now['within_1_sigma'])}",
            f"{_number(earlier['locked_mev_s'], 1)} → {_number(now['locked_mev_s'], 1)}",
        )
    return table


GOAL_1_SIGMA, GOAL_2_SIGMA = (0.60, 0.76), (0.91, 0.99)
"""Shares of errors within one and two standard deviations that are to be reached."""


def coverage_table(rows: list[Row]) -> Table:
    """Coverage of standard deviations, pooled over recordings; see `Coverage`."""
    table = _table(
        "errors within the claimed standard deviation",
        ("scene",),
        (
            "window",
            "recordings",
            "errors",
            "wrong",
            "effective",
            "1 sigma",
            "2 sigma",
            "ratio",
            "median",
            "95 %",
        ),
    )
    for row in rows:
        f = row.figures
        table.add_row(
            row.scene,
            f"{row.window_ms:g} ms",
            str(f["recordings"]),
            str(f["errors"]),
            share_text(f["wrong"]),
            f"{f['effective']:.0f}",
            _in_band(f["within_1"], GOAL_1_SIGMA),
            _in_band(f["within_2"], GOAL_2_SIGMA),
            f"{f['ratio']:.2f}",
            error_text(f["median"]),
            error_text(f["p95"]),
        )
    return table


def _table(title: str, names: Sequence[str], figures: Sequence[str]) -> Table:
    """An empty table with headings: names left-aligned, figures right-aligned."""
    table = Table(title=title, row_styles=["", "dim"])
    for name in names:
        table.add_column(name)
    for name in figures:
        table.add_column(name, justify="right")
    return table


def _in_band(share: dict[str, float], band: tuple[float, float]) -> str:
    """A share with its uncertainty, marked as in the band, outside, or significantly outside."""
    value, std = share["value"], share["std"]
    text = f"{100 * value:.0f} ± {100 * std:.0f} %"
    away = max(band[0] - value, value - band[1], 0.0)
    mark = "[green]✓[/]" if not away else "[yellow]?[/]" if away < 2 * std else "[red]✗[/]"
    return f"{text} {mark}"


def error_text(value: float | None) -> str:
    """A relative error with two digits."""
    return "-" if value is None else f"{value:.1e}"


def share_text(value: float | None) -> str:
    """A share in percent."""
    return "-" if value is None else f"{100 * value:.0f} %"


def _judged(value: float | None, allowed: float | None) -> str:
    text = error_text(value)
    if value is None or allowed is None:
        return text
    return f"[green]{text} ✓[/]" if value <= allowed else f"[red]{text} ✗[/]"


def _triple(value: float | None) -> float | None:
    return None if value is None else 3 * value


def _found(figures: dict[str, Any]) -> str:
    if figures["found"] is None:
        return "given"
    text = f"{figures['found']}/{figures['rotors']}"
    return _marked(text, figures["found"] < figures["rotors"])


def _marked(text: str, wrong: bool) -> str:
    return f"[red]{text}[/]" if wrong else text


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _time(value: float | None) -> str:
    if value is None:
        return "-"
    return "never" if math.isinf(value) else f"{value:.0f} ms"


def _ratio(before: float | None, after: float | None) -> str:
    if not before or after is None:
        return "-"
    ratio: Any = after / before
    colour = "green" if ratio < 0.9 else "red" if ratio > 1.1 else "none"
    return f"[{colour}]{ratio:.2f}[/]"
