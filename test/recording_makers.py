"""Recordings in every format, made from the format's definition or by another library."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from ecf_encoding import ecf_file
from encoded_events import (
    SIZE,
    Event,
    batch_of,
    dat_file,
    evt2_file,
    evt3_file,
    evt21_file,
)
from rosbags.rosbag1 import Writer as Rosbag1Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Rosbag2Writer
from rosbags.typesys.store import Typestore
from scipy.io import savemat

from evio_ros.events import SensorSize
from evio_ros.sources.codecs.bag_messages import message_types, ros1_message_types
from evio_ros.sources.writers.registry import open_writer

Maker = Callable[[Path, list[Event]], None]


def of_bytes(encode: Callable[[list[Event]], bytes]) -> Maker:
    return lambda path, events: path.write_bytes(encode(events)) and None


def of_writer(name: str) -> Maker:
    def make(path: Path, events: list[Event]) -> None:
        with open_writer(str(path), SIZE, name) as writer:
            writer.append(batch_of(events))

    return make


def of_numpy(save: Callable) -> Maker:
    def make(path: Path, events: list[Event]) -> None:
        t, x, y, p = np.array(events).T
        columns = {"x": x.astype(np.uint16), "y": y.astype(np.uint16), "p": p.astype(np.uint8)}
        with path.open("wb") as file:
            save(file, t=t, **columns, width=640, height=480)

    return make


def csv(path: Path, events: list[Event]) -> None:
    lines = [f"{y},{t},a b,{x},{p}" for t, x, y, p in events]
    path.write_text("# width=640 height=480\ny,t,note,x,polarity\n" + "\r\n".join(lines))


def plain_text(path: Path, events: list[Event]) -> None:
    # Such files have no geometry; it is inferred from the greatest coordinates.
    path.write_text("".join(f"{t // 10**6}.{t % 10**6:06d} {x} {y} {p}\n" for t, x, y, p in events))


def text_of(line: str, head: str = "") -> Maker:
    """Lines formatted with t, x, y, p, on, and the time in other units: s, ms, ns."""

    def make(path: Path, events: list[Event]) -> None:
        lines = [
            line.format(t=t, x=x, y=y, p=p, s=t * 1e-6, ms=t * 1e-3, ns=t * 1000, on=p == 1)
            for t, x, y, p in events
        ]
        path.write_text(head + "".join(lines), newline="")

    return make


def dvs128(events: list[Event]) -> list[Event]:
    return [(t, x % 128, y % 128, p) for t, x, y, p in events]


def aedat1(path: Path, events: list[Event]) -> None:
    # The ON events of this camera have polarity bit 0; the origin is the lower right corner.
    records = [
        struct.pack(">HI", (127 - y) << 8 | (127 - x) << 1 | 1 - p, t)
        for t, x, y, p in dvs128(events)
    ]
    path.write_bytes(b"#!AER-DAT1.0\r\n# a comment\r\n" + b"".join(records))


def aedat2(path: Path, events: list[Event]) -> None:
    header = b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.Davis640\r\n"
    records = [
        struct.pack(">II", (479 - y) << 22 | (639 - x) << 12 | p << 11, t) for t, x, y, p in events
    ]
    # Also samples of frames (bit 31) and edges of external inputs (bit 10).
    other = [struct.pack(">II", 0x80000C00, 0), struct.pack(">II", 1 << 10, 0)]
    path.write_bytes(header + b"#End Of ASCII Header\r\n" + b"".join(other + records))


def aedat3(path: Path, events: list[Event]) -> None:
    header = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#-Source 0: DVS128\r\n#Source 1: DAVIS640\r\n"
    packets = []
    for first in range(0, len(events), 1000):
        part = events[first : first + 1000]
        data = [struct.pack("<Ii", x << 17 | y << 2 | p << 1 | 1, t) for t, x, y, p in part]
        # A special event and an invalid polarity event, which readers must skip.
        packets.append(struct.pack("<hhiiiiii", 0, 1, 8, 4, 0, 1, 1, 1) + bytes(8))
        data.append(struct.pack("<Ii", 5 << 17, part[-1][0]))
        count = len(data)
        packets.append(struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, count, count, count - 1))
        packets += data
    path.write_bytes(header + b"#!END-HEADER\r\n" + b"".join(packets))


def nmnist_events(events: list[Event]) -> list[Event]:
    return [(t, x % 34, y % 34, p) for t, x, y, p in events]


def nmnist(path: Path, events: list[Event]) -> None:
    path.write_bytes(
        b"".join(
            bytes((x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255))
            for t, x, y, p in nmnist_events(events)
        )
    )


def npy_records(path: Path, events: list[Event]) -> None:
    kind = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
    with path.open("wb") as file:
        np.save(file, np.array(events, kind))


def npy_matrix(path: Path, events: list[Event]) -> None:
    with path.open("wb") as file:
        np.save(file, np.array(events)[:, [1, 2, 3, 0]].astype(np.float64))


def hdf5_matrix(path: Path, events: list[Event]) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "events", data=np.array(events, np.uint32), chunks=(min(1000, len(events)), 4)
        )


def hdf5_mvsec(path: Path, events: list[Event]) -> None:
    t, x, y, p = np.array(events).T
    with h5py.File(path, "w") as file:
        columns = np.stack((x, y, t * 1e-6, 2 * p - 1), axis=1).astype(np.float64)
        file.create_dataset("davis/left/events", data=columns)
        file.create_dataset("davis/left/imu", data=np.zeros((5, 6)))
        file.create_dataset("davis/right/events", data=columns[::2])


def dvs_message(events: list[Event], first: int, typestore: Typestore, kind: str) -> Any:
    """A message with an array of single events, for the rosbags library."""
    types = typestore.types
    time, event = types["builtin_interfaces/msg/Time"], types[kind.replace("EventArray", "Event")]
    head = types["std_msgs/msg/Header"]
    stamp = time(sec=0, nanosec=0)
    numbered = {"seq": first} if "seq" in head.__dataclass_fields__ else {}
    return types[kind](
        header=head(stamp=stamp, frame_id="camera", **numbered),
        height=480,
        width=640,
        events=[
            event(x=x, y=y, ts=time(sec=t // 10**6, nanosec=t % 10**6 * 1000), polarity=p == 1)
            for t, x, y, p in events
        ],
    )


def rosbag1(
    path: Path,
    events: list[Event],
    kind: str = "dvs_msgs/msg/EventArray",
    compression: Rosbag1Writer.CompressionFormat | None = None,
    topics: tuple[str, ...] = ("/dvs/events",),
) -> None:
    store = ros1_message_types()
    writer = Rosbag1Writer(path)
    if compression is not None:
        writer.set_compression(compression)
    with writer:
        connections = [writer.add_connection(name, kind, typestore=store) for name in topics]
        for number, first in enumerate(range(0, len(events), 5000)):
            part = events[first : first + 5000]
            raw = store.serialize_ros1(dvs_message(part, number, store, kind), kind)
            for connection in connections:
                writer.write(connection, part[0][0] * 1000, raw)


def dvs_bag(path: Path, events: list[Event], kind: str = "dvs_msgs/msg/EventArray") -> None:
    store = message_types()
    with Rosbag2Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/dvs/events", kind, typestore=store)
        for first in range(0, len(events), 5000):
            part = events[first : first + 5000]
            message = dvs_message(part, first, store, kind)
            raw = store.serialize_cdr(message, kind)
            writer.write(connection, part[0][0] * 1000, raw)


def hdf5_seconds(path: Path, events: list[Event]) -> None:
    t, x, y, p = np.array(events).T
    with h5py.File(path, "w") as file:
        columns = {"ts": t * 1e-6, "xs": x, "ys": y, "ps": p.astype(bool)}
        for name, values in columns.items():
            file.create_dataset(f"events/{name}", data=values, compression="gzip")
        file.attrs.update(width=640, height=480)


def hdf5_records(path: Path, events: list[Event]) -> None:
    kind = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
    records = np.array([(x, y, p, t) for t, x, y, p in events], kind)
    with h5py.File(path, "w") as file:
        file.create_dataset("CD/events", data=records).attrs.update(width=640, height=480)


def mat_of_variables(path: Path, events: list[Event]) -> None:
    t, x, y, p = np.array(events)[:, :, None].transpose(1, 0, 2)
    with path.open("wb") as file:
        savemat(file, {"ts": t, "x": x, "y": y, "pol": p == 1, "sensor_size": [480, 640]})


def mat_of_aedat_tools(path: Path, events: list[Event]) -> None:
    t, x, y, p = np.array(events).T
    polarity = {"timeStamp": t.astype(np.uint64), "x": x, "y": y, "polarity": p == 1}
    info = {"deviceAddressSpace": [640.0, 480.0], "source": "Davis640"}
    with path.open("wb") as file:
        aedat = {"info": info, "data": {"polarity": polarity, "imu6": {"gyroX": np.zeros(9)}}}
        savemat(file, {"aedat": aedat}, do_compression=True)


def of_faery(file_type: str) -> Maker:
    def make(path: Path, events: list[Event]) -> None:
        faery = pytest.importorskip("faery")
        records = np.array(events, faery.EVENTS_DTYPE)
        stream = faery.events_stream_from_array(records, (640, 480))
        stream.to_file(str(path), file_type=file_type)

    return make


MAKERS: dict[str, Maker] = {
    "DAT": of_bytes(dat_file),
    "EVT2": of_bytes(evt2_file),
    "EVT2.1": of_bytes(evt21_file),
    "EVT3": of_bytes(evt3_file),
    "HDF5": of_writer("hdf5"),
    "HDF5 in seconds": hdf5_seconds,
    "HDF5 of records": hdf5_records,
    "NPZ": of_writer("npz"),
    "NPZ by numpy": of_numpy(np.savez),
    "NPZ compressed": of_numpy(np.savez_compressed),
    "CSV": csv,
    "CSV by us": of_writer("csv"),
    "text": plain_text,
    "text without a header": text_of("{x},{y},{p},{t}\n", "%geometry:640,480\n"),
    "text in float seconds": text_of("{s:.18e} {x:.18e} {y:.18e} {p:.18e}\n", "# 640x480\n"),
    "text in ms": text_of("{on};{x};{y};{ms!r}\r\n", "\ufeffpolarity;x;y;time [ms]\r\n"),
    "HDF5 of a matrix": hdf5_matrix,
    "HDF5 of MVSEC": hdf5_mvsec,
    "HDF5 coded by ECF": ecf_file,
    "NPY of records": npy_records,
    "NPY of a matrix": npy_matrix,
    "MATLAB": mat_of_variables,
    "MATLAB of AedatTools": mat_of_aedat_tools,
    "AEDAT 1": aedat1,
    "AEDAT 2": aedat2,
    "AEDAT 3": aedat3,
    "N-MNIST": nmnist,
    "bag of ROS 1": rosbag1,
    "bag of single events": dvs_bag,
    "AEDAT4": of_faery("aedat"),
    "Event Stream": of_faery("es"),
    "bag": of_writer("bag"),
    "bag in SQLite": of_writer("bag_sqlite3"),
    "bag of packets": of_writer("bag_packets"),
}


SENSORS = {"AEDAT 1": SensorSize(128, 128), "N-MNIST": SensorSize(34, 34)}
"""Sensors of formats whose geometry is not `SIZE`; their makers wrap coordinates."""


def as_made(name: str, events: list[Event]) -> list[Event]:
    """The events in a maker's recording, with wrapped coordinates."""
    size = SENSORS.get(name, SIZE)
    return [(t, x % size.width, y % size.height, p) for t, x, y, p in events]


def storage_file(recording: Path) -> Path:
    """The file that contains a recording's events."""
    return next(recording.glob("*.*[3p]")) if recording.is_dir() else recording


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A mutated copy: truncated, bits flipped, a part overwritten, deleted, repeated or moved.

    Also zeros from some place on, as after a crash, and two files one after the other.
    """
    broken = bytearray(data)
    place = chance.randrange(len(broken))
    length = chance.choice((1, 4, 8, 64, 1000))
    kind = chance.randrange(9)
    if kind == 0:
        del broken[place:]
    elif kind == 1:
        del broken[place : place + length]
    elif kind == 2:
        broken[place:place] = broken[place : place + length]
    elif kind == 3:
        broken[place : place + length] = chance.randbytes(length)
    elif kind == 4:
        moved = bytes(broken[place : place + length])
        del broken[place : place + length]
        target = chance.randrange(len(broken) + 1)
        broken[target:target] = moved
    elif kind == 5:
        broken[place:] = bytes(len(broken) - place)
    elif kind == 6:
        broken += data[: chance.choice((place, len(data)))]
    else:
        # Headers and tables are at the beginning, where most bits are flipped.
        most = min(len(broken), 10 ** chance.randint(2, 5))
        for _ in range(chance.choice((1, 2, 5, 20))):
            broken[chance.randrange(most)] ^= 1 << chance.randrange(8)
    return bytes(broken) or data
