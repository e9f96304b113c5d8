"""Measuring many recordings into a folder: a result file each, one table of all."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from evio_ros.atomic_file import atomic_file
from evio_ros.cli.recording_job import AnalysisOptions, Outcome, RecordingJob
from evio_ros.cli.recording_workers import outcomes_here, outcomes_on_dask
from evio_ros.cli.section import refuse_overwriting
from evio_ros.cli.whole_table import print_table
from evio_ros.errors import EvioError, ParameterError, SourceError
from evio_ros.sources.file_uri import path_of

__all__ = ["analyze_many"]

_INDEX = "recordings.jsonl"
_TABLE = "recordings.csv"
_COLUMNS = ("recording", "result", "id", "rpm", "rpm_std", "blade_count", "seen", "windows")


def analyze_many(
    recordings: Sequence[str],
    folder: Path,
    options: AnalysisOptions,
    processes: int,
    dask: str | None,
) -> None:
    """Measure recordings, and print a table of them.

    Each gets a file of JSON lines in the folder, recordings.csv holds a row for each rotor, and
    recordings.jsonl says what was measured how. A recording is left out whose content, options and
    result file are as that says, so a second run goes on where the first ended. What fails is tried
    again.

    Args:
        recordings: as of `open_recording`.
        folder: made where it is missing.
        options: how each is measured.
        processes: how many are measured at a time on this machine.
        dask: address of a Dask scheduler that takes them instead.

    Raises:
        EvioError: at the end, where a recording could not be measured.
        ParameterError: where a recording is named twice, or no Dask scheduler answers.
        SourceError: where the folder cannot be written.
    """
    places = [os.path.abspath(path_of(recording)) for recording in recordings]
    twice = [place for place, times in Counter(places).items() if times > 1]
    if twice:
        raise ParameterError(f"{twice[0]}: is named twice")
    for place in places:
        refuse_overwriting(place, [folder / _TABLE])
    results = _Results(folder, options)
    jobs = [RecordingJob(place, options, results.known_content(place)) for place in places]
    results.name_all(places)
    outcomes = outcomes_on_dask(jobs, dask) if dask is not None else outcomes_here(jobs, processes)
    with closing(outcomes), _progress() as bar:
        task = bar.add_task("measured", total=len(jobs))
        for outcome in outcomes:
            results.add(outcome)
            if outcome.error:
                text = f"failed: {outcome.error}"
                bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
            bar.advance(task)
    rows = [results.entries[place] for place in places]
    _write_table(folder / _TABLE, rows)
    print_table(Console(), _table(rows, results.unchanged))
    failed = sum(bool(row["error"]) for row in rows)
    if failed:
        raise EvioError(f"{failed} of {len(rows)} recordings could not be measured")


def _progress() -> Progress:
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


class _Results:
    """The folder of results, and what it says of each recording.

    Attributes:
        entries: what is known of each recording by its absolute path, as in recordings.jsonl.
        unchanged: those whose result was there before.
    """

    def __init__(self, folder: Path, options: AnalysisOptions) -> None:
        self._folder = folder
        self._names: dict[str, str] = {}
        self.unchanged: set[str] = set()
        self._options = options.digest
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SourceError(folder, f"cannot be made: {error.strerror}") from None
        self.entries = {entry["recording"]: entry for entry in _read_index(folder / _INDEX)}
        self._write_index()

    def known_content(self, place: str) -> str:
        """Digest of the recording whose result of these options is there; empty for none."""
        entry = self.entries.get(place)
        if entry is None or entry["error"] or entry["options"] != self._options:
            return ""
        try:
            lines = (self._folder / entry["result"]).read_bytes()
        except OSError:
            return ""
        return entry["content"] if _digest(lines) == entry["result_content"] else ""

    def name_all(self, places: Sequence[str]) -> None:
        """Choose the result files of new recordings; those known keep theirs."""
        self._names = {place: entry["result"] for place, entry in self.entries.items()}
        taken = {_INDEX, *self._names.values()}
        for place in places:
            if place not in self._names:
                # Options behind a path, as ?topic=/a, are no part of a name.
                stem = Path(place if os.path.exists(place) else place.partition("?")[0]).name
                name = f"{stem}.jsonl"
                if name in taken:
                    name = f"{stem}-{_digest(place.encode())[:8]}.jsonl"
                self._names[place] = name
                taken.add(name)

    def add(self, outcome: Outcome) -> None:
        """Write a result, then say that it is there; nothing where it was there before."""
        if outcome.lines is None and not outcome.error:
            self.unchanged.add(outcome.recording)
            return
        name = self._names[outcome.recording]
        path = self._folder / name
        if outcome.lines is None:
            path.unlink(missing_ok=True)  # a result of something else
        else:
            with atomic_file(path) as result:
                result.write(outcome.lines)
        self.entries[outcome.recording] = entry = {
            "recording": outcome.recording,
            "result": name,
            "error": outcome.error,
            "windows": outcome.windows,
            "rotors": outcome.rotors,
            "remarks": outcome.remarks,
            "content": outcome.content,
            "options": self._options,
            "result_content": _digest(outcome.lines or b""),
        }
        # A line behind the others costs little, however many there are; the last one counts.
        index = self._folder / _INDEX
        try:
            with open(index, "a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise SourceError(index, f"cannot be written: {error.strerror}") from None

    def _write_index(self) -> None:
        with atomic_file(self._folder / _INDEX) as file:
            for entry in self.entries.values():
                file.write(json.dumps(entry) + "\n")


def _read_index(path: Path) -> Iterator[dict[str, Any]]:
    """What an earlier run left; a line that was cut off, or that somebody changed, counts not."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise SourceError(path, f"cannot be read: {error.strerror}") from None
    wanted = {"recording", "result", "error", "windows", "rotors", "remarks"}
    wanted |= {"content", "options", "result_content"}
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and wanted <= entry.keys():
            yield entry


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """A CSV row for each rotor; a recording without any has one with empty cells.

    Where it failed, no result file is named.
    """
    with atomic_file(path) as file:
        writer = csv.DictWriter(file, (*_COLUMNS, "error"), extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            written = {"result": ""} if row["error"] else {}
            for rotor in row["rotors"] or [{}]:
                writer.writerow({**row, **rotor, **written})


def _table(rows: Sequence[dict[str, Any]], unchanged: Collection[str]) -> Table:
    table = Table(title=f"{len(rows)} recordings; median speeds in rpm")
    for heading in ("recording", "rotors", "rpm", "blades", "windows"):
        table.add_column(heading, justify="left" if heading == "recording" else "right")
    table.add_column("remark")
    for row in rows:
        rotors = row["rotors"]
        table.add_row(
            Path(row["recording"]).name,
            str(len(rotors)),
            "\n".join(f"{rotor['rpm']:.2f}" for rotor in rotors),
            "\n".join(str(rotor["blade_count"] or "unknown") for rotor in rotors),
            str(row["windows"]),
            ", ".join(_remarks(row, row["recording"] in unchanged)),
        )
    return table


def _remarks(row: dict[str, Any], unchanged: bool) -> Iterator[str]:
    if row["error"]:
        yield "failed"
    if unchanged:
        yield "as before"
    if row["remarks"]:
        yield f"{len(row['remarks'])} remarks, see {_INDEX}"
