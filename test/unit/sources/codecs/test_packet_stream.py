"""Packets of another driver as windows, with losses and restarts."""

from __future__ import annotations

import itertools
import struct

import pytest
from encoded_events import batch_of, events_of, random_events
from event_packets import Packet

from evio_ros.errors import EventError
from evio_ros.sources.codecs.event_packet import EventPacketEncoder
from evio_ros.sources.codecs.packet_stream import PacketStream

EVENTS = random_events(4_000, start_us=9_000, mean_step_us=15.0)


def packets_of(events, size=100, first_seq=0):
    encoder = EventPacketEncoder()
    return [
        Packet(encoder.encode(batch_of(events[i : i + size])), first_seq + i // size)
        for i in range(0, len(events), size)
    ]


def pushed(stream, packets):
    return [window for packet in packets for window in stream.push(packet)]


def test_windows_hold_the_events_in_order_and_without_gaps():
    stream = PacketStream(2_000)
    windows = pushed(stream, packets_of(EVENTS))
    found = events_of([window.events for window in windows])
    assert found == EVENTS[: len(found)]
    assert len(found) > 3_500
    assert stream.restarts == 0
    for before, after in itertools.pairwise(windows):
        assert after.start_us == before.end_us


def test_external_triggers_are_taken_apart():
    packets = packets_of(EVENTS)
    rising = struct.pack("<H", 0xA << 12 | 3 << 8 | 1)
    packets[2] = Packet(packets[2].events + rising, 2)
    stream = PacketStream(2_000)
    pushed(stream, packets)
    found = stream.take_triggers()
    assert (found.edge.tolist(), found.channel.tolist()) == ([1], [3])
    assert found.t.tolist() == [EVENTS[299][0]]
    assert stream.statistics.triggers == 1
    assert len(stream.take_triggers()) == 0


@pytest.mark.parametrize("jump_us", [-5_000_000, 12_000_000])
def test_a_clock_that_jumps_starts_the_stream_afresh(jump_us):
    later = [(t + 6_000_000, *rest) for t, *rest in EVENTS]
    jumped = [(t + 6_000_000 + jump_us, *rest) for t, *rest in EVENTS]
    stream = PacketStream(2_000)
    windows = pushed(stream, packets_of(later) + packets_of(jumped, first_seq=0))
    assert stream.restarts == 1
    # Not one window for every 2 ms of the jump.
    assert len(windows) < 80
    # EVT3 takes a step back for a wrap of its 24-bit time.
    found = {(t % (1 << 24), *rest) for t, *rest in events_of([w.events for w in windows])}
    assert found <= {(t % (1 << 24), *rest) for t, *rest in later + jumped}


def test_a_packet_that_cannot_be_decoded_is_refused_and_the_next_one_taken():
    stream = PacketStream(2_000)
    packets = packets_of(EVENTS)
    with pytest.raises(EventError, match="evt9"):
        pushed(stream, [*packets[:3], Packet(b"", 3, encoding="evt9")])
    assert pushed(stream, packets[4:])


def test_another_geometry_is_refused_once():
    stream = PacketStream(2_000)
    packets = packets_of(EVENTS)
    pushed(stream, packets[:3])
    larger = [Packet(packet.events, packet.seq, width=800) for packet in packets[3:]]
    with pytest.raises(EventError, match="changes from evt3 of 640x480 to evt3 of 800x480"):
        pushed(stream, larger[:1])
    assert pushed(stream, larger[1:])[0].events.size.width == 800


def test_packets_of_a_geometry_that_none_has_named_are_refused():
    stream = PacketStream(2_000)
    packets = packets_of(EVENTS)
    unsized = Packet(packets[0].events, 0, width=0, height=0)
    with pytest.raises(EventError, match="packet 0: no packet has given the geometry"):
        pushed(stream, [unsized])
    assert pushed(stream, packets[1:])


@pytest.mark.parametrize("place", [0, 40, 99])
def test_one_event_of_a_wrong_time_starts_nothing_afresh(place):
    stream = PacketStream(2_000)
    mono = []
    for number, first in enumerate(range(0, len(EVENTS), 100)):
        events = list(EVENTS[first : first + 100])
        if number == 20:
            events[place] = (events[place][0] + 3_000_000, *events[place][1:])
        words = [(t * 1000) | x << 32 | y << 48 | p << 63 for t, x, y, p in events]
        mono.append(Packet(struct.pack(f"<{len(words)}Q", *words), number, encoding="mono"))
    found = set(events_of([window.events for window in pushed(stream, mono)]))
    assert stream.restarts == 0
    assert found <= set(EVENTS)
    assert len(found) > 3_500


def test_the_time_of_lost_packets_is_missing():
    packets = packets_of(EVENTS)
    windows = pushed(PacketStream(2_000), packets[:11] + packets[14:])
    gap = range(EVENTS[1099][0] + 1, EVENTS[1400][0])
    assert sum(window.missing_us for window in windows) == len(gap)
    for window in windows:
        assert not any(t in gap for t, *_ in events_of([window.events]))
    assert not any(window.missing for window in pushed(PacketStream(2_000), packets))
