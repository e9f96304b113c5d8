"""`evio info`: what is in a recording, and what is wrong with it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evio_ros.cli.section import Size, TimeUnit, size_of

if TYPE_CHECKING:
    from evio_ros.sources.readers.recording import Recording
    from evio_ros.sources.recording_statistics import RecordingStatistics

__all__ = ["info"]

_BARS = " ▁▂▃▄▅▆▇█"
_SPARKLINE_WIDTH = 60
_PROPERTIES = ("stream", "streams", "topic", "topics", "type", "time_unit", "polarity", "biases")
"""Properties of how a recording was read, or that come from files beside it."""
_LONGEST_BIAS_FILE = 1 << 16


def info(
    recording: Annotated[
        str, typer.Argument(metavar="RECORDING", help="The recording to read.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    triggers: Annotated[
        bool,
        typer.Option("--triggers", help="List external triggers instead: edge, channel, time."),
    ] = False,
    size: Size = None,
    time_unit: TimeUnit = None,
) -> None:
    """Show what RECORDING contains: format, geometry, duration, rates, and anything suspicious.

    Example: evio info fan.csv --time-unit ms
    """
    from evio_ros.cli.progress import progress_bar
    from evio_ros.sources.recording_statistics import RecordingStatistics
    from evio_ros.sources.registry import open_recording

    with open_recording(recording, size=size_of(size), time_unit=time_unit) as source:
        if triggers:
            _list_triggers(source, as_json)
            return
        statistics = RecordingStatistics(source.size)
        name = Path(source.path).name
        with progress_bar(name, source.end_us - source.start_us) as advance:
            for batch in source.batches():
                statistics.add(batch)
                advance(int(batch.t[-1]) - source.start_us)
        facts = _facts(source, statistics)
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
    else:
        _print(facts, statistics)


def _list_triggers(source: Recording, as_json: bool) -> None:
    """Print a line for each external trigger, or JSON."""
    found = source.read_triggers()
    rows = zip(found.edge.tolist(), found.channel.tolist(), found.t.tolist(), strict=True)
    named = [
        {"edge": "rising" if edge else "falling", "channel": channel, "t_us": t}
        for edge, channel, t in rows
    ]
    if as_json:
        typer.echo(json.dumps(named, indent=1))
        return
    lines = [f"{row['edge']:8} {row['channel']:7} {row['t_us']:16}" for row in named]
    heading = f"{'edge':8} {'channel':>7} {'time in us':>16}"
    typer.echo("\n".join([heading, *lines]) if lines else "no external triggers")


def _facts(source: Recording, statistics: RecordingStatistics) -> dict[str, Any]:
    rates = statistics.rates_hz()
    seconds = statistics.duration_us * 1e-6
    return {
        "file": source.path,
        "format": source.format_name,
        "width": source.size.width,
        "height": source.size.height,
        "geometry_declared": source.size_is_declared,
        "start_us": statistics.start_us,
        "duration_us": statistics.duration_us,
        "events": statistics.events,
        "on": statistics.on,
        "off": statistics.events - statistics.on,
        "time_unit": "us",
        "polarity": "one bit",
        **source.details,
        **_biases(source.path),
        "counted": {
            name: value
            for name, value in asdict(source.statistics).items()
            if name not in ("events", "restarts", "gaps")
        },
        "triggers": source.statistics.triggers,
        "lost_packets": source.statistics.lost_packets,
        "dropped": source.statistics.dropped,
        "clock_restarts": [
            {"t_us": restart.t_us, "gap_us": restart.gap_us}
            for restart in source.statistics.restarts
        ],
        "missing": [
            {"t_us": span.start, "length_us": len(span)} for span in source.statistics.gaps
        ],
        "gaps": [{"t_us": gap.start_us, "length_us": gap.length_us} for gap in statistics.gaps],
        "hot_pixels": [list(pixel) for pixel in statistics.hot_pixels()],
        "mean_rate_hz": statistics.events / seconds if seconds else 0.0,
        "peak_rate_hz": float(rates.max(initial=0.0)),
        "suspicious": _suspicions(source, statistics),
    }


def _biases(path: str) -> dict[str, list[str]]:
    """The camera's biases, from the file that Metavision's tools write beside a recording.

    Its lines have a value, a percent sign and a name, as `299 % bias_fo`.
    """
    beside = Path(path).with_suffix(".bias")
    try:
        with beside.open("rb") as file:
            text = file.read(_LONGEST_BIAS_FILE).decode("utf-8", "replace")
    except (OSError, ValueError):
        return {}
    found = re.findall(r"(?m)^[ \t]*(-?\d{1,9})[ \t]*%[ \t]*(\w{1,40})", text)
    return {"biases": [f"{name} {value}" for value, name in found]} if found else {}


def _suspicions(source: Recording, statistics: RecordingStatistics) -> list[str]:
    """What to know before using the recording, a sentence each."""
    from evio_ros.sources.source_remarks import remarks_of

    found = remarks_of(source)
    for gap in statistics.gaps[:5]:
        at_s = (gap.start_us - statistics.start_us) * 1e-6
        found.append(f"no event for {gap.length_us * 1e-3:.0f} ms at {at_s:.3f} s")
    if len(statistics.gaps) > 5:
        found.append(f"{len(statistics.gaps) - 5} more gaps of over 100 ms")
    if step_us := statistics.coarse_step_us:
        found.append(
            f"time stamps are {1e-3 * step_us:.3g} ms apart: changes faster than "
            f"{0.5e6 / step_us:.4g} Hz appear slower than they are"
        )
    if statistics.events > 1 and statistics.duration_us == 1:
        found.append("all events have the same time stamp, so that nothing can be measured")
    hot = statistics.hot_pixels()
    if hot:
        listed = ", ".join(f"({x}, {y}) {events}" for x, y, events in hot[:5])
        found.append(f"{len(hot)} hot pixels; hottest: {listed} events")
    return found


def _print(facts: dict[str, Any], statistics: RecordingStatistics) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    guessed = "" if facts["geometry_declared"] else " (guessed)"
    share = facts["on"] / facts["events"] if facts["events"] else 0.0
    for name, value in (
        ("file", escape(facts["file"])),
        ("format", facts["format"]),
        ("geometry", f"{facts['width']}x{facts['height']}{guessed}"),
        ("duration", f"{facts['duration_us'] * 1e-6:.6f} s from {facts['start_us']} us"),
        ("events", f"{facts['events']:,}"),
        ("ON / OFF", f"{facts['on']:,} / {facts['off']:,} ({share:.1%} ON)"),
        ("mean rate", f"{facts['mean_rate_hz'] * 1e-6:.3f} Mev/s"),
        ("peak rate", f"{facts['peak_rate_hz'] * 1e-6:.3f} Mev/s in 10 ms"),
        ("rate", _sparkline(statistics)),
        *((name, _one_line(facts[name])) for name in _PROPERTIES if name in facts),
        ("suspicious", f"\n{'':12}".join(facts["suspicious"]) or "nothing"),
    ):
        console.print(f"[bold]{name:12}[/]{value}")


def _one_line(value: str | list[str]) -> str:
    from rich.markup import escape

    return escape(value if isinstance(value, str) else ", ".join(value))


def _sparkline(statistics: RecordingStatistics) -> str:
    """The event rate over time as a row of bars."""
    import numpy as np

    rates = statistics.rates_hz()
    parts = np.array_split(rates, min(_SPARKLINE_WIDTH, max(len(rates), 1)))
    means = np.array([part.mean() if len(part) else 0.0 for part in parts])
    heights = np.ceil(means / max(means.max(), 1e-9) * (len(_BARS) - 1)).astype(int)
    return "".join(_BARS[height] for height in heights)
