"""Speed, memory and seeking of the readers, compared with other libraries.

python bench/decode.py                   files of 20 M events, written to a temporary folder
python bench/decode.py --events 100e6    larger files, to check that memory stays constant

Each reader runs in a separate process, once to warm up and three times measured. The figure is
events per second of CPU time (user and system, all threads), the best of three, which depends
little on the machine's load. Libraries that are not installed are skipped.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from evio_ros.events import EventBatch, SensorSize
from evio_ros.sources.registry import open_recording
from evio_ros.sources.writers.registry import open_writer

SIZE = SensorSize(1280, 720)
RUNS = 3
PIECE = 1_000_000
MOST_FOR_EVLIB = 4_000_000
SEEKS = 200


def random_batches(events: int) -> Iterator[EventBatch]:
    """Events at random pixels, 10 M/s: the worst case for formats with a state."""
    rng = np.random.default_rng(0)
    for start in range(0, events, PIECE):
        count = min(PIECE, events - start)
        t = start // 10 + np.sort(rng.integers(0, PIECE // 10, count))
        x = rng.integers(0, SIZE.width, count).astype(np.uint16)
        y = rng.integers(0, SIZE.height, count).astype(np.uint16)
        yield EventBatch(SIZE, t, x, y, rng.random(count) < 0.5)


def write(path: Path, name: str, events: int) -> None:
    """Write random events in a format."""
    if name in ("aedat4", "es"):
        write_by_faery(path, events)
        return
    with open_writer(str(path), SIZE, name) as writer:
        for batch in random_batches(events):
            writer.append(batch)


def write_by_faery(path: Path, events: int) -> None:
    """Write random events in formats that only faery can write."""
    import faery

    records = np.empty(events, faery.EVENTS_DTYPE)
    for number, batch in enumerate(random_batches(events)):
        part = records[number * PIECE : number * PIECE + len(batch)]
        part["t"], part["x"], part["y"], part["on"] = batch.t, batch.x, batch.y, batch.polarity
    stream = faery.events_stream_from_array(records, (SIZE.width, SIZE.height))
    stream.to_file(str(path), file_type={".aedat4": "aedat", ".es": "es"}[path.suffix])


def read_evio(path: str) -> int:
    """Our reader."""
    with open_recording(path) as source:
        return sum(len(batch) for batch in source.batches())


def read_memmap(path: str) -> int:
    """Decode a DAT file with numpy in chunks, without checks."""
    with open_recording(path) as source:
        offset = source.header.length + 2  # type: ignore[attr-defined]
    words = np.memmap(path, "<u4", "r", offset).reshape(-1, 2)
    events = 0
    for start in range(0, len(words), 1 << 16):
        piece = words[start : start + (1 << 16)]
        t = piece[:, 0].astype(np.int64)
        pixel = piece[:, 1]
        columns = (
            (pixel & 0x3FFF).astype(np.uint16),
            (pixel >> 14 & 0x3FFF).astype(np.uint16),
            pixel >> 28 != 0,
        )
        events += len(t) if len(columns[0]) else 0
    return events


def read_faery(path: str) -> int:
    """faery, which streams."""
    import faery

    kind = {".dat": "dat", ".raw": "evt", ".csv": "csv", ".aedat4": "aedat", ".es": "es"}
    kind = kind[Path(path).suffix]
    return sum(len(piece) for piece in faery.events_stream_from_file(path, file_type=kind))


def read_expelliarmus(path: str) -> int:
    """expelliarmus, which streams; its EVT3 times are wrong on real recordings."""
    from expelliarmus import Wizard

    wizard = Wizard(encoding=Path(path).stem, chunk_size=1 << 16)
    wizard.set_file(path)
    return sum(len(piece) for piece in wizard.read_chunk())


def read_evlib(path: str) -> int:
    """evlib, which reads whole files."""
    import evlib

    return int(evlib.load_events(path).collect().height)


def read_h5py(path: str) -> int:
    """h5py by column, in pieces."""
    import h5py

    with h5py.File(path) as file:
        columns = [file[f"events/{name}"] for name in "txyp"]
        events = len(columns[0])
        for start in range(0, events, 1 << 16):
            for column in columns:
                column[start : start + (1 << 16)]
    return events


def read_numpy(path: str) -> int:
    """numpy.load, which reads whole arrays."""
    with np.load(path) as arrays:
        columns = [arrays[name] for name in "txyp"]
    return len(columns[0])


def read_rosbags(path: str) -> int:
    """The rosbags library alone: messages, not yet events."""
    from rosbags.rosbag2 import Reader

    from evio_ros.sources.codecs.bag_messages import message_types

    store = message_types()
    events = 0
    with Reader(path) as reader:
        for connection, _, raw in reader.messages():
            events += len(store.deserialize_cdr(raw, connection.msgtype).t)
    return events


def read_dv(path: str) -> int:
    """dv-processing."""
    import dv_processing

    recording = dv_processing.io.MonoCameraRecording(path)
    events = 0
    while (batch := recording.getNextEventBatch()) is not None:
        events += len(batch.numpy())
    return events


READERS: dict[str, Callable[[str], int]] = {
    "evio_ros": read_evio,
    "numpy memmap": read_memmap,
    "faery": read_faery,
    "expelliarmus": read_expelliarmus,
    "evlib": read_evlib,
    "h5py": read_h5py,
    "numpy load": read_numpy,
    "rosbags": read_rosbags,
    "dv-processing": read_dv,
}
COMPARED = {
    "dat": ("evio_ros", "numpy memmap", "faery", "expelliarmus"),
    "evt2": ("evio_ros", "faery", "expelliarmus", "evlib"),
    "evt3": ("evio_ros", "faery", "expelliarmus", "evlib"),
    "hdf5": ("evio_ros", "h5py"),
    "npz": ("evio_ros", "numpy load"),
    "csv": ("evio_ros",),
    "bag": ("evio_ros", "rosbags"),
    "bag_sqlite3": ("evio_ros",),
    "bag_packets": ("evio_ros",),
    "aedat4": ("evio_ros", "faery", "dv-processing"),
    "es": ("evio_ros", "faery"),
}
ENDINGS = {"dat": "dat", "evt2": "raw", "evt3": "raw", "hdf5": "h5"}


def measure(job: tuple[str, str]) -> tuple[int, float, float] | str:
    """Events, CPU seconds and peak memory (MB) of one reader; the reason as text if it fails."""
    reader, path = job
    try:
        events = READERS[reader](path)
        seconds = min(cpu_seconds(lambda: READERS[reader](path)) for _ in range(RUNS))
    except ImportError:
        return "not installed"
    except Exception as error:
        return f"fails: {error}"
    return events, seconds, peak_memory_mb()


def peak_memory_mb() -> float:
    """Peak memory of this process in MB; unlike that of getrusage, without its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of one call in s."""
    start = time.process_time()
    work()
    return time.process_time() - start


def measure_seeks(path: str) -> tuple[float, float, float]:
    """CPU time in ms to index, and median and longest to seek to a random time and read there."""
    rng = np.random.default_rng(1)
    with open_recording(path) as source:
        started = time.process_time()
        first, last = source.start_us, source.end_us
        source.seek(last - 1)
        index = time.process_time() - started
        next(source.batches(), None)
        times = []
        for t_us in rng.integers(first, last, SEEKS):
            started = time.process_time()
            source.seek(int(t_us))
            next(source.batches())
            times.append(time.process_time() - started)
    return 1e3 * index, 1e3 * float(np.median(times)), 1e3 * max(times)


def alone(function: Callable, argument: object):
    """Call a function in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, (argument,))


def main() -> None:
    """Write files, measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=float, default=20e6, help="events in each file")
    parser.add_argument("--format", action="append", choices=COMPARED, help="default: all")
    options = parser.parse_args()
    events = int(options.events)
    speed = Table("format", "reader", "Mev/s of CPU", "evio_ros is faster by", "peak memory MB")
    seeking = Table("format", "file MB", "index ms of CPU", "seek median", "seek longest")
    for name in options.format or COMPARED:
        readers = COMPARED[name]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.{ENDINGS.get(name, name)}"
            small = path.with_name(f"{name}_small{path.suffix}")
            try:
                write(path, name, events)
                if "evlib" in readers:
                    write(small, name, min(events, MOST_FOR_EVLIB))
            except Exception as error:
                speed.add_row(name, "evio_ros", f"cannot be written: {error}")
                continue
            ours = 0.0
            for reader in readers:
                result = alone(measure, (reader, str(small if reader == "evlib" else path)))
                if isinstance(result, str):
                    speed.add_row(name, reader, result)
                    continue
                rate = result[0] / result[1]
                ours = ours or rate
                speed.add_row(
                    name, reader, f"{rate / 1e6:.0f}", f"{ours / rate:.1f}", f"{result[2]:.0f}"
                )
            index, median, longest = alone(measure_seeks, str(path))
            files = [path] if path.is_file() else path.iterdir()
            megabytes = sum(file.stat().st_size for file in files) / 1e6
            seeking.add_row(
                name, f"{megabytes:.0f}", f"{index:.0f}", f"{median:.1f}", f"{longest:.1f}"
            )
    console = Console(width=110)
    console.print(speed)
    console.print(seeking)


if __name__ == "__main__":
    main()
