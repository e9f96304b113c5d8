"""Fuzz test of the readers: no crash, no hang, bounded memory, one-line errors.

python test/fuzz.py --seconds 600                  every format for ten minutes
python test/fuzz.py --seconds 60 --format EVT3     one format for a minute

Every format's reader runs in a separate process with limited memory; a case may take up to 20 s of
CPU time. Failing recordings are kept in out/fuzz.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from encoded_events import batch_of, random_events
from event_packets import Packet
from recording_makers import MAKERS, mutated, storage_file
from rich.console import Console
from rich.table import Table

from evio_ros.errors import EvioError
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.codecs.event_packet import ENCODINGS, EventPacketDecoder, EventPacketEncoder
from evio_ros.sources.registry import open_source

ROOT = Path(__file__).resolve().parent.parent
LONGEST_CASE_S = 20.0
MOST_MEMORY = 4 << 30
FAILED = ROOT / "out" / "fuzz"


def read(path: Path) -> str:
    """Read a recording to its end; returns the number of events or the error's text."""
    try:
        with open_source(str(path)) as source:
            middle_us = (source.start_us + source.end_us) // 2
            events = sum(len(batch) for batch in source.batches())
            source.seek(middle_us)
            next(source.batches(), None)
    except EvioError as error:
        return str(error)
    return f"{events} events"


def fuzz_recordings(name: str, folder: str, seconds: float, seed: int, cases: Synchronized) -> None:
    """Read mutated copies of a small recording until the time is over."""
    path = Path(folder) / "recording"
    MAKERS[name](path, random_events(2000, seed))
    target = storage_file(path)
    data, chance = target.read_bytes(), random.Random(seed)
    read(path)
    limit_memory()
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        broken = mutated(data, chance)
        for _ in range(chance.randrange(3)):
            broken = mutated(broken, chance)
        target.write_bytes(broken)
        text = read(path)
        if "\n" in text:
            raise AssertionError(f"an error of several lines: {text}")
        cases.value += 1


def fuzz_packets(
    encoding: str, folder: str, seconds: float, seed: int, cases: Synchronized
) -> None:
    """Decode mutated payloads with one decoder until the time is over."""
    chance = random.Random(seed)
    data = EventPacketEncoder().encode(batch_of(random_events(300, seed)))
    decoder = EventPacketDecoder(SourceStatistics())
    decoder.decode(Packet(data, encoding=encoding))
    limit_memory()
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        seq = chance.choice((int(cases.value), chance.randrange(1 << 63)))
        payload = mutated(data, chance)
        (Path(folder) / "recording").write_bytes(payload)
        decoder.decode(Packet(payload, seq, encoding=encoding, time_base=chance.randrange(1 << 62)))
        cases.value += 1


def limit_memory() -> None:
    """Limit the process to `MOST_MEMORY` bytes more than it uses now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MOST_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def run(name: str, seconds: float, seed: int) -> tuple[int, str]:
    """Fuzz one format; returns the number of cases, and the failure if any."""
    work = fuzz_packets if name in ENCODINGS else fuzz_recordings
    context = multiprocessing.get_context("spawn")
    cases = context.Value("q", 0)
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=work, args=(name, folder, seconds, seed, cases))
        process.start()
        failure = watch(process, cases)
        if failure:
            FAILED.mkdir(parents=True, exist_ok=True)
            kept = FAILED / f"{name.replace(' ', '_')}_{seed}_{cases.value}"
            recording = Path(folder) / "recording"
            kept.write_bytes(storage_file(recording).read_bytes())
            failure += f"; kept as {kept}"
    return int(cases.value), failure


def watch(process: multiprocessing.process.BaseProcess, cases: Synchronized) -> str:
    """Wait for the process; returns the failure, or an empty text."""
    seen, since_s = -1, 0.0
    while process.is_alive():
        used_s = cpu_seconds(process.pid)
        if cases.value != seen:
            seen, since_s = cases.value, used_s
        elif used_s - since_s > LONGEST_CASE_S:
            process.kill()
            process.join()
            return f"a case took more than {LONGEST_CASE_S:g} s"
        process.join(0.2)
    return "" if process.exitcode == 0 else f"the reader ended with {process.exitcode}"


def cpu_seconds(pid: int | None) -> float:
    """CPU time of a process, which does not depend on the machine's load."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Fuzz and print a table; returns 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = (*MAKERS, *ENCODINGS)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each format")
    parser.add_argument("--format", action="append", choices=names, help="default: all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    table = Table("format", "cases", "failures")
    failed = False
    for name in options.format or names:
        cases, failure = run(name, options.seconds, options.seed)
        failed = failed or bool(failure)
        table.add_row(name, str(cases), failure or "none")
        print(f"{name}: {cases} cases, {failure or 'no failure'}", file=sys.stderr, flush=True)
    Console(width=140).print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
