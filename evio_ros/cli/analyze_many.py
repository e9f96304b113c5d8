"""Measuring many recordings into a folder: a result file for each, and a table of all."""

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
from evio_ros.cli.full_width_table import print_table
from evio_ros.cli.outputs import check_results
from evio_ros.cli.recording_job import AnalysisOptions, Outcome, RecordingJob
from evio_ros.cli.recording_workers import measure_locally, measure_on_dask
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

    The folder gets a file of JSON lines for each recording, recordings.csv with a row for each
    rotor, and recordings.jsonl with how each recording was measured. A recording is skipped if its
    content, its options and its result file still agree with recordings.jsonl, so a second run
    continues where the first one ended. Recordings that failed are measured again.

    Args:
        recordings: as for `open_recording`.
        folder: created if it does not exist.
        options: how each recording is measured.
        processes: number of recordings measured in parallel on this machine, at least 1.
        dask: address of a Dask scheduler that runs the measurements instead; None for none.

    Raises:
        EvioError: at the end, if a recording could not be measured.
        ParameterError: if a recording is given twice, or no Dask scheduler answers.
        SourceError: if the folder cannot be written.
    """
    places = [os.path.abspath(path_of(recording)) for recording in recordings]
    repeated = [place for place, times in Counter(places).items() if times > 1]
    if repeated:
        raise ParameterError(f"{repeated[0]}: is given twice")
    check_results([folder / _TABLE], places)
    results = _Results(folder, options)
    jobs = [RecordingJob(place, options, results.known_content(place)) for place in places]
    results.name_all(places)
    outcomes = measure_on_dask(jobs, dask) if dask is not None else measure_locally(jobs, processes)
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
    """The folder of results and its index, recordings.jsonl.

    Attributes:
        entries: the latest line of the index for each recording, by its absolute path.
        unchanged: recordings whose result was kept.
    """

    def __init__(self, folder: Path, options: AnalysisOptions) -> None:
        self._folder = folder
        self._names: dict[str, str] = {}
        self.unchanged: set[str] = set()
        self._options = options.digest
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SourceError(folder, f"cannot be created: {error.strerror}") from None
        self.entries = {entry["recording"]: entry for entry in _read_index(folder / _INDEX)}
        self._write_index()

    def known_content(self, place: str) -> str:
        """SHA-256 of a recording that has a valid result for these options; "" if it has none."""
        entry = self.entries.get(place)
        if entry is None or entry["error"] or entry["options"] != self._options:
            return ""
        try:
            lines = (self._folder / entry["result"]).read_bytes()
        except OSError:
            return ""
        return entry["content"] if _digest(lines) == entry["result_content"] else ""

    def name_all(self, places: Sequence[str]) -> None:
        """Choose the result files of new recordings; known ones keep theirs."""
        self._names = {place: entry["result"] for place, entry in self.entries.items()}
        taken = {_INDEX, *self._names.values()}
        for place in places:
            if place not in self._names:
                # Options after the path, such as ?topic=/a, are not part of the name.
                stem = Path(place if os.path.exists(place) else place.partition("?")[0]).name
                name = f"{stem}.jsonl"
                if name in taken:
                    name = f"{stem}-{_digest(place.encode())[:8]}.jsonl"
                self._names[place] = name
                taken.add(name)

    def add(self, outcome: Outcome) -> None:
        """Write a result, then add it to the index; does nothing if the result was kept."""
        if outcome.lines is None and not outcome.error:
            self.unchanged.add(outcome.recording)
            return
        name = self._names[outcome.recording]
        path = self._folder / name
        if outcome.lines is None:
            path.unlink(missing_ok=True)  # an outdated result
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
        # Appending a line costs little, however many there are; the last one of a recording counts.
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
    """The entries of an earlier run; ignores lines that are truncated or not valid."""
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
    """Write a CSV row for each rotor; a recording without rotors has one row with empty cells.

    A recording that failed has no result file.
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
        yield "unchanged"
    if row["remarks"]:
        yield f"{len(row['remarks'])} remarks, see {_INDEX}"
