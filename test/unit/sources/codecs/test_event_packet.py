"""Event packets: state between packets, losses, and every encoding against a slow decoder."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest
from encoded_events import (
    SIZE,
    batch_of,
    events_of,
    evt3_words,
    random_events,
    slow_libcaer_compressed,
)
from event_packets import Packet
from hypothesis import given, settings
from hypothesis import strategies as st

from evio_ros.errors import EventError
from evio_ros.events import SensorSize
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.codecs.event_packet import EventPacketDecoder, EventPacketEncoder


def decoded(packets) -> tuple[list, SourceStatistics]:
    statistics = SourceStatistics()
    decoder = EventPacketDecoder(statistics)
    return events_of([decoder.decode(packet) for packet in packets]), statistics


def evt3_packets(events, cuts, byte_order="<") -> list[Packet]:
    words = evt3_words(events)
    edges = [0, *sorted(min(cut, len(words)) for cut in cuts), len(words)]
    payloads = (
        struct.pack(f"{byte_order}{b - a}H", *words[a:b]) for a, b in itertools.pairwise(edges)
    )
    return [
        Packet(payload, seq, is_bigendian=byte_order == ">") for seq, payload in enumerate(payloads)
    ]


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 700), max_size=8), order=st.sampled_from("<>"))
def test_packets_may_be_cut_anywhere(cuts, order):
    events = random_events(100, start_us=5_000, mean_step_us=900.0)
    found, statistics = decoded(evt3_packets(events, cuts, order))
    assert found == events
    assert statistics == SourceStatistics()


@settings(max_examples=60, deadline=None)
@given(lost=st.integers(1, 18), shift=st.integers(0, 4))
def test_a_lost_packet_is_counted_and_costs_only_what_cannot_be_placed(lost, shift):
    events = random_events(400, mean_step_us=50_000.0)
    packets = evt3_packets(events, [shift + 87 * i for i in range(1, 20)])
    found, statistics = decoded(packets[:lost] + packets[lost + 1 :])
    assert statistics.lost_packets == 1
    # Every event found is a true one, including wraps of time.
    assert set(found) <= set(events)
    assert len(events) - len(found) <= 2 * (87 // 4 + 3)


def test_after_a_loss_low_bits_of_time_count_only_after_high_ones():
    packets = [[0x8001, 0x6005, 7, 0x2001], [], [0x6009, 8, 0x8002, 0x2002, 0x6003, 0x2003]]
    packets = [Packet(struct.pack(f"<{len(w)}H", *w), seq) for seq, w in enumerate(packets)]
    found, statistics = decoded([packets[0], packets[2]])
    assert found == [(1 << 12 | 5, 1, 7, 0), (2 << 12 | 3, 3, 8, 0)]
    assert (statistics.lost_packets, statistics.invalid) == (1, 1)


def test_before_the_first_time_nothing_can_be_placed():
    events = random_events(10)
    words = evt3_words(events)
    found, statistics = decoded([Packet(struct.pack(f"<{len(words) - 3}H", *words[3:]))])
    assert found == events[1:]
    assert statistics.invalid == 1


def test_a_publisher_that_starts_again_begins_a_new_state_without_a_loss():
    events = random_events(20)
    packets = evt3_packets(events, [40])
    found, statistics = decoded([*packets, Packet(packets[0].events, 0)])
    assert found[:20] == events
    assert set(found) <= set(events)
    assert statistics.lost_packets == 0


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=400), encoding=st.sampled_from(["evt3", "libcaer", "mono"]))
def test_any_bytes_are_decoded_or_counted(data, encoding):
    statistics = SourceStatistics()
    decoder = EventPacketDecoder(statistics)
    columns = decoder.decode(Packet(data, encoding=encoding, time_base=5_000))
    assert len({len(columns.t), len(columns.x), len(columns.y), len(columns.polarity)}) == 1
    size = {"evt3": 2, "libcaer": 8, "mono": 8}[encoding]
    if len(data) % size:
        assert statistics.invalid > 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"encoding": "evt9"}, "encoding 'evt9' is not one of evt3, libcaer, libcaer_cmp, mono"),
        ({"encoding": "libcaer", "is_bigendian": True}, "big-endian libcaer is not supported"),
        ({"width": 0}, "sensor width 0"),
    ],
)
def test_packets_that_cannot_be_decoded_are_refused(change, reason):
    decoder = EventPacketDecoder(SourceStatistics())
    with pytest.raises(EventError, match=reason):
        decoder.decode(Packet(b"", **change))


def test_packets_may_leave_the_geometry_at_0():
    events = random_events(50)
    decoder = EventPacketDecoder(SourceStatistics())
    packets = evt3_packets(events, [40, 80, 120])
    sizes = []
    found = []
    for packet, (width, height) in zip(packets, [(0, 0), (64, 48), (0, 0), (64, 48)], strict=True):
        packet.width, packet.height = width, height
        found.append(decoder.decode(packet))
        sizes.append(decoder.size)
    assert events_of(found) == events
    assert sizes == [None, *[SensorSize(64, 48)] * 3]
    with pytest.raises(EventError, match="changes from evt3 of 64x48 to evt3 of 65x48"):
        decoder.decode(Packet(b"", 4, width=65, height=48))


def test_a_change_of_geometry_is_refused():
    decoder = EventPacketDecoder(SourceStatistics())
    decoder.decode(Packet(b""))
    with pytest.raises(EventError, match="changes from evt3 of 640x480 to evt3 of 64x48"):
        decoder.decode(Packet(b"", 1, width=64, height=48))


def test_libcaer_words_and_their_wrap_within_a_packet():
    base_us = 1_700_000_000_000_000
    times = [(1 << 31) - 2, (1 << 31) - 1, 1 << 31, (1 << 31) + 7]
    payload = b"".join(
        struct.pack("<Ii", (10 + i) << 17 | (20 + i) << 2 | (i & 1) << 1 | 1, t & 0x7FFFFFFF)
        for i, t in enumerate(times)
    )
    found, _ = decoded([Packet(payload, encoding="libcaer", time_base=base_us * 1000 + 999)])
    assert found == [(base_us + t, 10 + i, 20 + i, i & 1) for i, t in enumerate(times)]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 0x5FFF), max_size=200))
def test_libcaer_cmp_agrees_with_a_slow_decoder(words):
    payload = struct.pack(f"<{len(words)}H", *words)
    found, _ = decoded([Packet(payload, encoding="libcaer_cmp", time_base=7_000_000_123)])
    assert found == slow_libcaer_compressed(payload, 7_000_000)


def test_mono_is_nanoseconds_column_row_and_polarity():
    events = random_events(500, start_us=123_456)
    words = ((t - 123_000) * 1000 | x << 32 | y << 48 | p << 63 for t, x, y, p in events)
    payload = b"".join(struct.pack("<Q", word) for word in words)
    found, _ = decoded([Packet(payload, encoding="mono", time_base=123_000_000)])
    assert found == events


def test_our_packets_decode_by_themselves():
    events = random_events(3_000)
    encoder = EventPacketEncoder()
    parts = [events[:1000], events[1000:1800], events[1800:]]
    packets = [Packet(encoder.encode(batch_of(part)), seq) for seq, part in enumerate(parts)]
    assert decoded(packets)[0] == events
    assert decoded(packets[1:])[0] == events[1000:]
    found, statistics = decoded([packets[0], packets[2]])
    assert found == parts[0] + parts[2]
    assert statistics.lost_packets == 1
    assert statistics.invalid == 0


def test_our_packets_follow_long_silence():
    events = [(5, 1, 1, 1), (40_000_000, 2, 2, 0), (90_000_000, 3, 3, 1)]
    encoder = EventPacketEncoder()
    packets = [Packet(encoder.encode(batch_of([event])), seq) for seq, event in enumerate(events)]
    assert decoded(packets)[0] == events


def test_a_sensor_too_large_for_evt3_is_refused():
    with pytest.raises(EventError, match="2048 pixels a side"):
        EventPacketEncoder().encode(batch_of([(1, 1, 0, 1)], SensorSize(4096, 1)))
    assert np.frombuffer(EventPacketEncoder().encode(batch_of([(1, 1, 1, 1)], SIZE)), "<u2").size
