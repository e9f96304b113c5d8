"""Tables of the figures for the documentation: a line for each scene, a column for each window."""

from __future__ import annotations

from typing import Any

from accuracy_bench.tables import share_text
from evio_ros.evaluation.coverage import NORMAL_MEDIAN
from evio_ros.evaluation.goals import goal
from evio_ros.evaluation.results import Row


def accuracy_markdown(rows: list[Row]) -> str:
    """Median (95th percentile) of the relative error by scene, method and window."""
    windows = sorted({row.window_ms for row in rows})
    figures = {row.key: row.figures for row in rows}
    lines = [
        "| scene | | " + " | ".join(_window(window) for window in windows) + " |",
        "|---|---|" + "---|" * len(windows),
    ]
    for scene in dict.fromkeys(row.scene for row in rows):
        if not any(row.scene == scene and row.figures["rotors"] for row in rows):
            continue
        methods = dict.fromkeys(row.method for row in rows if row.scene == scene)
        heading = f"**{scene}**"
        for label, cells in _lines(scene, list(methods), windows, figures):
            lines.append(f"| {heading} | {label} | " + " | ".join(cells) + " |")
            heading = ""
    return "\n".join(lines) + "\n"


def _lines(
    scene: str,
    methods: list[str],
    windows: list[float],
    figures: dict[tuple[str, str, float], dict],
) -> list[tuple[str, list[str]]]:
    """The lines of one scene: goal, each method and, for the oracle, its bound."""
    lines = []
    goals = [goal(scene, window) for window in windows]
    if any(goals):
        lines.append(("goal", [_error(value) for value in goals]))
    for method in methods:
        cells = []
        for window, wanted in zip(windows, goals, strict=True):
            row = figures.get((scene, method, window))
            if row is None:
                cells.append("")
                continue
            text = _pair(row["median"], row["p95"])
            reached = wanted is not None and row["median"] is not None
            bold = method == "detector" and reached and row["median"] <= wanted
            cells.append(f"**{text}**" if bold else text)
        lines.append((method, cells))
        if method == "oracle":
            claims = [figures.get((scene, method, window), {}) for window in windows]
            bounds = [row.get("claimed") and NORMAL_MEDIAN * row["claimed"] for row in claims]
            lines.append(("bound", [_error(value) for value in bounds]))
    return lines


def detection_markdown(rows: list[Row]) -> str:
    """Detection and failures of rotors, and coverage of the standard deviation."""
    lines = [
        "| scene | window | found | after | missed | false | switches | slips | sign | blades "
        "| within 1 and 2 sigma | after a step | stop seen |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        f = row.figures
        if row.method != "detector":
            continue
        found = f"{f['found']} of {f['rotors']}" if f["rotors"] else "no rotor"
        sigma = f"{share_text(f['within_1_sigma'])}, {share_text(f['within_2_sigma'])}"
        lines.append(
            f"| {row.scene} | {_window(row.window_ms)} | {found} | {_time(f['detection_ms'])} "
            f"| {share_text(f['missed'])} | {f['false_windows']} | {f['identity_switches']} "
            f"| {f['turn_slips']} | {share_text(f['sign'])} | {share_text(f['blades'])} "
            f"| {sigma} | {_time(f['recovery_ms'])} | {_time(f['stop_ms'])} |"
        )
    return "\n".join(lines) + "\n"


def coverage_markdown(rows: list[Row]) -> str:
    """Shares of errors within one and two standard deviations by scene and window, in percent."""
    windows = sorted({row.window_ms for row in rows})
    figures = {(row.scene, row.window_ms): row.figures for row in rows}
    lines = [
        "| scene | " + " | ".join(_window(window) for window in windows) + " |",
        "|---|" + "---|" * len(windows),
    ]
    for scene in dict.fromkeys(row.scene for row in rows):
        cells = [_shares(figures.get((scene, window))) for window in windows]
        lines.append(f"| {scene} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _shares(figures: dict[str, Any] | None) -> str:
    if figures is None:
        return "-"
    both = (figures["within_1"], figures["within_2"])
    return ", ".join(f"{100 * share['value']:.0f} ± {100 * share['std']:.0f}" for share in both)


def _window(milliseconds: float) -> str:
    return f"{milliseconds:g} ms" if milliseconds < 1000 else f"{milliseconds / 1000:g} s"


def _error(value: float | None) -> str:
    if value is None:
        return ""
    return (
        "never"
        if value == float("inf")
        else f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")
    )


def _pair(median: float | None, p95: float | None) -> str:
    return "-" if median is None else f"{_error(median)} ({_error(p95)})"


def _time(value: float | None) -> str:
    if value is None:
        return "-"
    return "never" if value == float("inf") else f"{value:.0f} ms"
