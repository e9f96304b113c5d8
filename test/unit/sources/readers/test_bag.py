"""Bags: published sums of real ones, round trips of our own, refusal of corrupt ones."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from backports.zstd import compress
from encoded_events import (
    batch_of,
    events_of,
    random_events,
    real_recording,
    slow_libcaer_compressed,
)
from field_cases import field_case
from hypothesis import given, settings
from hypothesis import strategies as st
from recording_makers import dvs_bag, dvs_message, rosbag1
from rosbags.rosbag1 import Writer as Rosbag1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer

from evio_ros.errors import EventError, SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.codecs.bag_messages import (
    DEFINITIONS,
    EVENT_ARRAY,
    EVENT_PACKET,
    message_types,
    ros1_message_types,
)
from evio_ros.sources.codecs.dvs_message import parse_cdr, parse_ros1
from evio_ros.sources.codecs.event_packet import EventPacketDecoder
from evio_ros.sources.registry import open_source
from evio_ros.sources.writers.registry import open_writer

SIZE = SensorSize(640, 480)
KINDS = ("bag", "bag_sqlite3", "bag_packets")
PACKET_HASH = "RIHS01_d6fa176260b1f37e5a40845305315e150a0f18191241eb64f407442aa29844aa"
any_kind = pytest.mark.parametrize("kind", KINDS)


def write_bag(path, events, kind) -> str:
    with open_writer(str(path), SIZE, kind) as writer:
        writer.append(batch_of(events))
    return str(path)


def messages_of(path, topic=None):
    with Reader(path) as reader:
        for connection, stamp, raw in reader.messages():
            if topic in (None, connection.topic):
                yield stamp, message_types().deserialize_cdr(raw, connection.msgtype)


def repacked(path, target, topics=("/a",), drop=(), **compression) -> str:
    """The messages of a bag under other topics, compressed or with some left out."""
    plugin = compression.pop("plugin", StoragePlugin.SQLITE3)
    writer = Writer(Path(target), version=8, storage_plugin=plugin)
    if compression:
        writer.set_compression(compression["mode"], CompressionFormat.ZSTD)
    with writer, Reader(path) as reader:
        kind = reader.connections[0].msgtype
        connections = [writer.add_connection(t, kind, typestore=message_types()) for t in topics]
        for number, (_, stamp, raw) in enumerate(reader.messages()):
            if number not in drop:
                for connection in connections:
                    writer.write(connection, stamp, raw)
    return str(target)


def test_definitions_are_the_packages_and_the_communitys():
    package = Path(__file__).resolve().parents[4] / "msg" / "EventArray.msg"
    fields = [line.split("#")[0].split() for line in package.read_text().splitlines()]
    ours = [line.split() for line in DEFINITIONS[EVENT_ARRAY].splitlines()]
    assert [field for field in fields if field] == ours
    assert message_types().hash_rihs01(EVENT_PACKET) == PACKET_HASH


def test_real_evt3_bag_has_its_published_sums():
    path, known = real_recording("event_packet_db3")
    decoder = EventPacketDecoder(SourceStatistics())
    on = off = triggers = time_sum = 0
    for _, message in messages_of(path):
        columns = decoder.decode(message)
        on += int(columns.polarity.sum())
        off += int((~columns.polarity).sum())
        times = decoder.triggers.t
        triggers += len(times)
        time_sum += int(columns.t.sum()) + int(times.sum())
    assert (on, off, triggers) == (known["on"], known["off"], known["triggers"])
    assert time_sum == known["time_sum_events_and_triggers"]
    with open_source(str(path)) as source:
        assert source.size == SIZE
        assert sum(len(batch) for batch in source.batches()) == known["on"] + known["off"]
        assert source.statistics.dropped == source.statistics.lost_packets == 0


def test_real_libcaer_bag_with_odd_metadata_agrees_with_a_slow_decoder():
    path, _ = real_recording("event_packet_mcap")
    expected = []
    for _, message in messages_of(path / "test_events_2_0.mcap"):
        expected += slow_libcaer_compressed(message.events.tobytes(), message.time_base // 1000)
    with open_source(str(path)) as source:
        assert source.size == SensorSize(346, 260)
        assert "metadata.yaml is not usable" in source.remarks[0]
        found = events_of(source.batches())
        assert source.statistics.dropped == source.statistics.reordered == 0
    assert found == expected
    assert len(expected) > 500_000


@any_kind
def test_seek_equals_skipping_to_the_time(kind, tmp_path):
    events = random_events(600_000, start_us=2_000, mean_step_us=7.0)
    times = np.array([event[0] for event in events])
    with open_source(write_bag(tmp_path / "a", events, kind)) as source:
        for t_us in (0, 3_000_000, 2_000, int(times[-1]), int(times[-1]) + 1, 1_234_567):
            source.seek(t_us)
            assert events_of(source.batches()) == events[int(np.searchsorted(times, t_us)) :]
        assert (source.start_us, source.end_us) == (times[0], times[-1] + 1)


def test_seeks_find_the_events_within_a_long_message(tmp_path):
    # Messages of 100 ms; there is an index entry every 2 megabytes.
    events = random_events(400_000, mean_step_us=20.0)
    times = np.array([event[0] for event in events])
    rosbag1(tmp_path / "a.bag", events)
    with open_source(str(tmp_path / "a.bag")) as source:
        # These include all times of a message that ends an index entry.
        for event in range(159_000, 175_000, 1_000):
            t_us = int(times[event])
            source.seek(t_us)
            assert next(iter(source.batches())).t[0] == t_us


@pytest.mark.parametrize("mode", [CompressionMode.FILE, CompressionMode.MESSAGE])
def test_compressed_bags_are_read(mode, tmp_path):
    events = random_events(20_000)
    plain = write_bag(tmp_path / "a", events, "bag")
    with open_source(repacked(plain, tmp_path / "b", mode=mode)) as source:
        assert events_of(source.batches()) == events


@any_kind
@pytest.mark.parametrize("plugin", StoragePlugin)
def test_without_its_metadata_a_bag_compressed_by_message_is_read(kind, plugin, tmp_path):
    events = random_events(20_000)
    plain = write_bag(tmp_path / "a", events, kind)
    bag = Path(repacked(plain, tmp_path / "b", mode=CompressionMode.MESSAGE, plugin=plugin))
    (bag / "metadata.yaml").unlink()
    for path in (bag, *bag.iterdir()):
        with open_source(str(path)) as source:
            assert events_of(source.batches()) == events
            source.seek(events[9_000][0])
            assert events_of(source.batches())[-1] == events[-1]


def test_a_packed_message_that_is_cut_off_is_one_error(tmp_path):
    kind, store = "dvs_msgs/msg/EventArray", message_types()
    message = dvs_message(random_events(500), 0, store, kind)
    packed = compress(bytes(store.serialize_cdr(message, kind)))
    with Writer(tmp_path / "a", version=8) as writer:
        connection = writer.add_connection("/a", kind, typestore=store)
        writer.write(connection, 0, packed[:-9])
    with pytest.raises(SourceError, match="/a is corrupt: a compressed message is truncated"):
        open_source(str(tmp_path / "a"))


def test_bags_with_compressed_chunks_are_read(tmp_path):
    events = random_events(20_000)
    plain = write_bag(tmp_path / "a", events, "bag")
    options = {"mode": CompressionMode.STORAGE, "plugin": StoragePlugin.MCAP}
    with open_source(repacked(plain, tmp_path / "b", **options)) as source:
        assert events_of(source.batches()) == events


@any_kind
def test_a_storage_file_is_read_by_itself(kind, tmp_path):
    events = random_events(5_000)
    bag = Path(write_bag(tmp_path / "a", events, kind))
    (file,) = (p for p in bag.iterdir() if p.suffix in (".mcap", ".db3"))
    with open_source(str(file)) as source:
        assert events_of(source.batches()) == events


@pytest.mark.parametrize("first", [0, 5, 98])
def test_parts_of_a_bag_without_metadata_are_read_in_the_order_of_their_numbers(first, tmp_path):
    events = random_events(6_000)
    (tmp_path / "bag").mkdir()
    for number in range(12):
        part = events[500 * number : 500 * (number + 1)]
        made = Path(write_bag(tmp_path / f"{number}", part, "bag_sqlite3"))
        file = next(made.glob("*.db3"))
        file.rename(tmp_path / "bag" / f"take_2_{first + number}.db3")
    with open_source(str(tmp_path / "bag")) as source:
        assert events_of(source.batches()) == events
        assert source.statistics.clock_restarts == 0


@pytest.mark.parametrize("kind", ["bag", "bag_packets"])
def test_lost_messages_are_counted(kind, tmp_path):
    events = random_events(20_000, mean_step_us=10.0)
    thinned = repacked(write_bag(tmp_path / "a", events, kind), tmp_path / "b", drop={3, 4, 9})
    with open_source(thinned) as source:
        found = events_of(source.batches())
        assert source.statistics.lost_packets == 3
        gaps = source.statistics.gaps
    windows = {(event[0] - events[0][0]) // 10_000 for event in set(events) - set(found)}
    assert windows == {3, 4, 9}
    lost_us = {event[0] for event in set(events) - set(found)}
    found_us = {event[0] for event in found}
    assert len(gaps) == 2
    assert all(any(t in gap for gap in gaps) for t in lost_us - found_us)
    assert not any(t in gap for gap in gaps for t in found_us)
    assert set(found) <= set(events)


def test_one_of_several_topics_is_named_behind_the_path(tmp_path):
    events = random_events(3_000)
    path = repacked(write_bag(tmp_path / "a", events, "bag"), tmp_path / "b", topics=("/x", "/y"))
    with pytest.raises(SourceError, match=r"several topics; name one as .*\?topic=NAME: /x .*/y"):
        open_source(path)
    with open_source(f"{path}?topic=/y") as source:
        assert events_of(source.batches()) == events
    with pytest.raises(SourceError, match="on /z; it has /x"):
        open_source(f"{path}?topic=/z")


def test_messages_are_of_10_ms_and_stamped_with_sensor_time(tmp_path):
    events = random_events(20_000, start_us=5_000_000)
    found = list(messages_of(write_bag(tmp_path / "a", events, "bag")))
    assert [message.seq for _, message in found] == list(range(len(found)))
    for stamp, message in found:
        assert stamp == message.time_base * 1000
        assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == stamp
        assert message.duration == 10_000
        assert (message.width, message.height) == (640, 480)


@any_kind
def test_cut_off_storage_is_one_error_or_fewer_events(kind, tmp_path):
    events = random_events(50_000)
    bag = Path(write_bag(tmp_path / "a", events, kind))
    (file,) = (p for p in bag.iterdir() if p.suffix in (".mcap", ".db3"))
    whole = file.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 20):
        file.write_bytes(whole[:length])
        for path in (bag, file):
            try:
                with open_source(str(path)) as source:
                    found = events_of(source.batches())
            except SourceError as error:
                assert "\n" not in str(error)  # noqa: PT017
            else:
                assert found == events[: len(found)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "a: 1",
        "rosbag2_bagfile_information: 7",
        "rosbag2_bagfile_information: {version: 99}",
        "&a [*a, *a]",
        "!!python/object/apply:os.system ['true']",
    ],
)
def test_metadata_that_are_none_are_done_without(text, tmp_path):
    events = random_events(1_000)
    bag = write_bag(tmp_path / "a", events, "bag")
    (Path(bag) / "metadata.yaml").write_text(text)
    with open_source(bag) as source:
        assert "metadata.yaml is not usable" in source.remarks[0]
        assert events_of(source.batches()) == events


def test_a_folder_without_storage_is_no_recording(tmp_path):
    with pytest.raises(SourceError, match="is a directory, not a recording"):
        open_source(str(tmp_path))
    (tmp_path / "metadata.yaml").write_text("rosbag2_bagfile_information: {version: 8}")
    with pytest.raises(SourceError, match="cannot be read as a bag"):
        open_source(str(tmp_path))


def test_a_folder_that_is_no_bag_is_never_replaced(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "precious.txt").write_text("x")
    with pytest.raises(SourceError, match="is not a bag; it is not replaced"):
        open_writer(str(tmp_path / "a"), SIZE, "bag")
    assert (tmp_path / "a" / "precious.txt").exists()


def test_a_missing_bag_is_one_error(tmp_path):
    path = Path(write_bag(tmp_path / "a", random_events(100), "bag"))
    shutil.rmtree(path)
    with pytest.raises(SourceError, match="No such file"):
        open_source(str(path))
    with pytest.raises(SourceError, match=r"cannot be read as a bag"):
        open_source(str(path / "x.mcap"))


@pytest.mark.parametrize(
    "kind",
    ["dvs_msgs", "prophesee_event_msgs", "dv_ros_msgs", "dv_ros2_msgs"],
)
def test_arrays_of_single_events_of_every_package(kind, tmp_path):
    events = random_events(12_001, start_us=1_573_195_687_650_000)
    dvs_bag(tmp_path / "a", events, f"{kind}/msg/EventArray")
    with open_source(str(tmp_path / "a")) as source:
        assert source.size == SIZE
        assert events_of(source.batches()) == events
    rosbag1(tmp_path / "b.bag", events, f"{kind}/msg/EventArray")
    with open_source(str(tmp_path / "b.bag")) as source:
        assert source.format_name == "rosbag"
        assert events_of(source.batches()) == events
        assert source.statistics.lost_packets == 0


@pytest.mark.parametrize("length_us", [11_000, 50_000, 900_000])
@pytest.mark.parametrize("ros", [1, 2])
def test_events_of_a_message_that_are_sorted_by_polarity_are_put_in_order(length_us, ros, tmp_path):
    # The drivers put 5000 events into a message.
    events = random_events(12_000, mean_step_us=length_us / 5_000)
    messages = [events[first : first + 5_000] for first in range(0, len(events), 5_000)]
    on_first = [event for part in messages for event in sorted(part, key=lambda e: -e[3])]
    (rosbag1 if ros == 1 else dvs_bag)(tmp_path / "a.bag", on_first)
    with open_source(str(tmp_path / "a.bag")) as source:
        found = events_of(source.batches())
        assert sorted(found) == sorted(events)
        assert [event[0] for event in found] == [event[0] for event in events]
        assert source.statistics.dropped == 0
        newest = np.maximum.accumulate([event[0] for event in on_first])
        behind = [event[0] < top for event, top in zip(on_first, newest, strict=True)]
        assert source.statistics.reordered == sum(behind)


def test_a_clock_that_starts_anew_within_a_message_is_not_sorted(tmp_path):
    events = random_events(4_000, start_us=1_000, mean_step_us=40.0)
    later = [(t + 60_000_000, *rest) for t, *rest in events]
    written = later[:3_000] + events[:2_000]
    dvs_bag(tmp_path / "a", written)
    with open_source(str(tmp_path / "a")) as source:
        assert [e[1:] for e in events_of(source.batches())] == [e[1:] for e in written]
        assert source.statistics.clock_restarts == 1


def test_packets_by_their_older_name_are_read(tmp_path):
    events = random_events(5_000)
    kind, store = "event_array_msgs/msg/EventArray", message_types()
    plain = write_bag(tmp_path / "a", events, "bag_packets")
    with Writer(tmp_path / "b", version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/events", kind, typestore=store)
        for stamp, message in messages_of(plain):
            fields = {name: getattr(message, name) for name in message.__dataclass_fields__}
            del fields["__msgtype__"]
            older = store.types[kind](**fields)
            writer.write(connection, stamp, store.serialize_cdr(older, kind))
    with open_source(str(tmp_path / "b")) as source:
        assert events_of(source.batches()) == events


def test_packets_in_a_bag_of_ros_1_are_read(tmp_path):
    events = random_events(5_000)
    store = ros1_message_types()
    head, time = (
        store.types[name] for name in ("std_msgs/msg/Header", "builtin_interfaces/msg/Time")
    )
    plain = write_bag(tmp_path / "a", events, "bag_packets")
    with Rosbag1Writer(tmp_path / "b.bag") as writer:
        connection = writer.add_connection("/events", EVENT_PACKET, typestore=store)
        for stamp, message in messages_of(plain):
            fields = {name: getattr(message, name) for name in message.__dataclass_fields__}
            del fields["__msgtype__"]
            fields["header"] = head(seq=0, stamp=time(sec=0, nanosec=0), frame_id="")
            packet = store.types[EVENT_PACKET](**fields)
            writer.write(connection, stamp, store.serialize_ros1(packet, EVENT_PACKET))
    with open_source(str(tmp_path / "b.bag")) as source:
        assert events_of(source.batches()) == events
        source.seek(events[2500][0])
        assert events_of(source.batches())[-1] == events[-1]


def test_a_bag_of_two_cameras_names_their_topics(tmp_path):
    events = random_events(3_000)
    rosbag1(tmp_path / "a.bag", events, topics=("/left/events", "/right/events"))
    with pytest.raises(SourceError, match=r"several topics; name one as .*\?topic=NAME: /left"):
        open_source(str(tmp_path / "a.bag"))
    with open_source(f"{tmp_path}/a.bag?topic=/right/events") as source:
        assert events_of(source.batches()) == events


def test_a_part_of_a_topics_name_is_enough(tmp_path):
    events = random_events(3_000)
    rosbag1(tmp_path / "a.bag", events, topics=("/davis/left/events", "/davis/right/events"))
    with open_source(f"{tmp_path}/a.bag?topic=right") as source:
        assert source.details["topic"] == "/davis/right/events"
        assert events_of(source.batches()) == events
    with pytest.raises(SourceError, match="no events of a known type on middle"):
        open_source(f"{tmp_path}/a.bag?topic=middle")


def bag_of_topics(path, topics, is_ros1) -> None:
    """A bag of dvs_msgs with a topic for each name, in the messages given for it.

    Args:
        topics: the events of each message of each topic.
    """
    kind = "dvs_msgs/msg/EventArray"
    store = ros1_message_types() if is_ros1 else message_types()
    serialize = store.serialize_ros1 if is_ros1 else store.serialize_cdr
    writer = Rosbag1Writer(path) if is_ros1 else Writer(path, version=8)
    with writer:
        for topic, messages in topics.items():
            connection = writer.add_connection(topic, kind, typestore=store)
            for number, part in enumerate(messages):
                message = dvs_message(part, number, store, kind)
                writer.write(connection, 1000 * number, bytes(serialize(message, kind)))


@pytest.mark.parametrize("is_ros1", [True, False])
@pytest.mark.parametrize("other", [[], [[]] * 20], ids=["no messages", "empty messages"])
def test_a_topic_without_events_is_left_out(other, is_ros1, tmp_path):
    events = random_events(3_000)
    bag_of_topics(tmp_path / "a.bag", {"/a": other, "/b": [[], events], "/c": other}, is_ros1)
    with open_source(str(tmp_path / "a.bag")) as source:
        assert source.details["topic"] == "/b"
        assert source.details["topics"] == ["/a", "/b", "/c"]
        assert events_of(source.batches()) == events
        assert source.statistics.lost_packets == 0


def test_a_bag_without_events_on_any_topic_is_refused(tmp_path):
    bag_of_topics(tmp_path / "a", {"/a": [], "/b": [[]]}, is_ros1=False)
    with pytest.raises(SourceError, match="has no events on any of /a, /b"):
        open_source(str(tmp_path / "a"))


def test_two_topics_are_named_where_the_events_of_one_come_late(tmp_path):
    events = random_events(10)
    bag_of_topics(tmp_path / "a", {"/a": [events], "/b": [*[[]] * 4200, events]}, is_ros1=False)
    with pytest.raises(SourceError, match="several topics"):
        open_source(str(tmp_path / "a"))


@pytest.mark.parametrize("unsized", [1, 3])
def test_messages_may_leave_the_geometry_at_0(unsized, tmp_path):
    events = random_events(3_000)
    kind = "dvs_msgs/msg/EventArray"
    store = message_types()
    first = len(events) // 3
    parts = [events[:0], events[:first], events[first:]]
    with Writer(tmp_path / "a", version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/events", kind, typestore=store)
        for number, part in enumerate(parts):
            message = dvs_message(part, number, store, kind)
            if number < unsized:
                message.width = message.height = 0
            writer.write(connection, number, store.serialize_cdr(message, kind))
    with open_source(str(tmp_path / "a")) as source:
        assert source.size == SIZE
        assert source.size_is_declared == (unsized < len(parts))
        assert events_of(source.batches()) == events


@pytest.mark.parametrize("kind", ["bag", "bag_packets"])
@pytest.mark.parametrize("unsized", [1, 1000])
def test_packets_and_arrays_may_leave_the_geometry_at_0(kind, unsized, tmp_path):
    events = random_events(3_000, mean_step_us=20.0)
    plain = write_bag(tmp_path / "a", events, kind)
    with Reader(plain) as reader, Writer(tmp_path / "b", version=8) as writer:
        name = reader.connections[0].msgtype
        connection = writer.add_connection("/events", name, typestore=message_types())
        for number, (stamp, message) in enumerate(messages_of(plain)):
            if number < unsized:
                message = replace(message, width=0, height=0)
            writer.write(connection, stamp, message_types().serialize_cdr(message, name))
    with open_source(str(tmp_path / "b")) as source:
        assert source.size == SIZE
        assert source.size_is_declared == (unsized == 1)
        assert events_of(source.batches()) == events


@pytest.mark.parametrize("compression", [None, Rosbag1Writer.CompressionFormat.LZ4])
def test_a_bag_of_ros_1_without_its_end_is_read_as_far_as_it_goes(compression, tmp_path):
    events = random_events(60_000)
    whole = tmp_path / "a.bag"
    rosbag1(whole, events, compression=compression)
    (tmp_path / "b.bag").write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with open_source(str(tmp_path / "b.bag")) as source:
        found = events_of(source.batches())
        assert "has no usable end" in source.remarks[0]
    assert found == events[: len(found)]
    assert compression or len(found) > 30_000


@pytest.mark.parametrize("kind", ["bag", "bag_packets"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_mcap_without_its_end_is_read_as_far_as_it_goes(kind, share, tmp_path):
    events = random_events(200_000, mean_step_us=10.0)
    bag = Path(write_bag(tmp_path / "a", events, kind))
    file = next(bag.glob("*.mcap"))
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    times = [event[0] for event in events]
    with open_source(str(file)) as source:
        found = events_of(source.batches())
        assert "has no usable end" in source.remarks[0]
        assert source.statistics.truncated_bytes > 0
        source.seek(times[50_000])
        assert events_of(source.batches()) == found[times.index(times[50_000]) :]
    assert found == events[: len(found)]
    assert len(found) > 0.6 * share * len(events)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120))
def test_any_bytes_are_a_message_or_one_error(data):
    for parse, head in ((parse_ros1, b""), (parse_cdr, b"\0\1\0\0"), (parse_cdr, b"")):
        try:
            parse(head + data)
        except EventError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_messages_of_the_other_byte_order_are_read():
    events = random_events(9)
    kind, store = "dvs_msgs/msg/EventArray", message_types()
    message = dvs_message(events, 0, store, kind)
    raw = bytes(store.serialize_cdr(message, kind, little_endian=False))
    assert events_of([parse_cdr(raw).columns]) == events


@pytest.mark.parametrize("name", ["15_rosbag1_dvs_msgs/dvs.bag", "16_rosbag2_other_types/dvs_msgs"])
def test_the_field_cases_are_read(name):
    with open_source(field_case(name)) as source:
        found = events_of(source.batches())
    assert [event[0] for event in found] == [1_573_195_687_650_000 + 20 * i for i in range(5000)]
    assert sum(event[3] for event in found) == 2576


@any_kind
def test_messages_that_come_twice_are_read_once(kind, tmp_path):
    events = random_events(20_000, mean_step_us=20.0)
    path = write_bag(tmp_path / "once", events, kind)
    with Reader(path) as reader, Writer(tmp_path / "twice", version=8) as writer:
        name = reader.connections[0].msgtype
        connection = writer.add_connection("/a", name, typestore=message_types())
        for _, stamp, raw in reader.messages():
            for delay_ns in (0, 0, 500):
                writer.write(connection, stamp + delay_ns, raw)
    with open_source(str(tmp_path / "twice")) as source:
        assert events_of(source.batches()) == events
        assert source.statistics.repeated_packets == 2 * len(list(messages_of(path)))
        middle_us = events[len(events) // 2][0]
        source.seek(middle_us)
        assert events_of(source.batches()) == [event for event in events if event[0] >= middle_us]


@pytest.mark.parametrize("has_metadata", [False, True])
@pytest.mark.parametrize("share", [0, 0.5])
def test_messages_that_are_only_in_the_databases_journal_are_read(share, has_metadata, tmp_path):
    events = random_events(60_000)
    folder = Path(write_bag(tmp_path / "a", events, "bag_sqlite3"))
    (file,) = folder.glob("*.db3")
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        rows = database.execute("SELECT * FROM messages").fetchall()
        first = round(share * len(rows))
        database.execute("DELETE FROM messages WHERE rowid > ?", (first,))
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.executemany(f"INSERT INTO messages VALUES ({'?,' * 3}?)", rows[first:])
        database.commit()
        # As the files are if the recorder is killed now; in closing, it merges its journal.
        shutil.copytree(folder, tmp_path / "b")
    for beside in (tmp_path / "b").glob("*-shm"):
        beside.unlink()
    if not has_metadata:
        (tmp_path / "b" / "metadata.yaml").unlink()
    with open_source(str(tmp_path / "b")) as source:
        assert events_of(source.batches()) == events
        assert any(f"{file.name}-wal" in remark for remark in source.remarks)
    assert (tmp_path / "b" / f"{file.name}-wal").stat().st_size > 0


def test_mcap_in_the_encoding_of_ros_1_is_told(tmp_path):
    def record(kind: int, data: bytes) -> bytes:
        return bytes([kind]) + struct.pack("<Q", len(data)) + data

    def text(value: str) -> bytes:
        return struct.pack("<I", len(value)) + value.encode()

    schema = struct.pack("<H", 1) + text("dvs_msgs/EventArray") + text("ros1msg") + text("")
    channel = struct.pack("<HH", 1, 1) + text("/dvs/events") + text("ros1") + text("")
    records = record(1, text("ros1") + text("")) + record(3, schema) + record(4, channel)
    message = record(5, struct.pack("<HIQQ", 1, 0, 0, 0))
    (tmp_path / "a").write_bytes(b"\x89MCAP0\r\n" + records + message)
    with pytest.raises(SourceError, match="in the encoding of ROS 1: name"):
        open_source(str(tmp_path / "a"))


def test_a_broken_database_says_what_may_mend_it(tmp_path):
    path = write_bag(tmp_path / "a", random_events(20_000), "bag_sqlite3")
    file = next(Path(path).glob("*.db3"))
    file.write_bytes(file.read_bytes()[:-1000])
    said = "malformed; try to recover it with sqlite3 FILE .recover"
    with pytest.raises(SourceError, match=said), open_source(path) as source:
        list(source.batches())
