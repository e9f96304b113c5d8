"""Live cameras: packets become batches, errors are counted, a cable may be unplugged."""

from __future__ import annotations

import numpy as np
import pytest

nd = pytest.importorskip("neuromorphic_drivers")

from encoded_events import SIZE, events_of, random_events  # noqa: E402
from recorded_camera import TIMEOUT, RecordedDevice, packet_of  # noqa: E402

from evio_ros.errors import ParameterError, SourceError  # noqa: E402
from evio_ros.events import SensorSize  # noqa: E402
from evio_ros.sources.base import EventSource  # noqa: E402
from evio_ros.sources.cameras import camera, camera_device  # noqa: E402
from evio_ros.sources.cameras.camera_device import (  # noqa: E402
    MODELS,
    CameraParameters,
    ListedCamera,
    configuration_of,
    size_of,
)
from evio_ros.sources.registry import open_recording, open_source  # noqa: E402

EVENTS = random_events(3_000, start_us=50)


@pytest.fixture
def plugged(monkeypatch):
    """Provides devices, one for each opening; an error means that there is no device."""
    opened = []

    def plug(*devices):
        waiting = iter(devices)

        def open_device(configuration, serial, timeout_s):
            device = next(waiting, SourceError("camera", "cannot be opened"))
            if isinstance(device, Exception):
                raise device
            opened.append((configuration, serial, timeout_s, device))
            return device

        monkeypatch.setattr(camera_device, "open_device", open_device)
        monkeypatch.setattr(camera, "RETRY_S", 0.01)
        return opened

    return plug


def take(source, count):
    """The first events of a camera."""
    events = []
    for batch in source.batches():
        events += events_of([batch])
        if len(events) >= count:
            break
    return events


@pytest.mark.parametrize(
    ("model", "kind"),
    [("evk4", nd.Evt3Packet), ("dvxplorer", nd.DvxplorerPacket), ("davis346", nd.Davis346Packet)],
)
def test_packets_of_every_kind_become_batches(plugged, model, kind):
    events = [event for event in EVENTS if event[1] < 346 and event[2] < 260]
    parts = [events[:400], events[400:900], events[900:]]
    script = [packet_of(None, kind=kind), *(packet_of(part, kind=kind) for part in parts), TIMEOUT]
    plugged(RecordedDevice(script))
    with open_source(f"camera:{model}") as source:
        assert isinstance(source, EventSource)
        assert source.is_live
        assert source.size == size_of(model)
        assert take(source, len(events)) == events
        assert source.statistics.events == len(events)


@pytest.mark.parametrize(
    ("kind", "fields", "rows", "channels"),
    [
        (nd.Evt3Packet, {"id": "u1", "rising": "?"}, [(60, 2, True), (70, 0, False)], [2, 0]),
        (nd.DvxplorerPacket, {"polarity": "u1"}, [(60, 2), (70, 0)], [0, 0]),
    ],
)
def test_external_triggers_are_kept_and_counted(plugged, kind, fields, rows, channels):
    triggered = packet_of(EVENTS[:10], kind=kind)
    triggered.trigger_events = np.array(rows, [("t", "<u8"), *fields.items()])
    plugged(RecordedDevice([triggered, packet_of(EVENTS[10:], kind=kind), TIMEOUT]))
    with open_source("camera:evk4") as source:
        take(source, len(EVENTS))
        found = source.take_triggers()
        assert source.statistics.triggers == 2
        assert len(source.take_triggers()) == 0
    assert found.t.tolist() == [60, 70]
    assert found.edge.tolist() == [1, 0]
    assert found.channel.tolist() == channels


def test_overflows_and_lost_packets_are_counted(plugged):
    script = [packet_of(EVENTS[:100], [7, 50]), packet_of(EVENTS[100:200]), TIMEOUT]
    plugged(RecordedDevice(script, dropped=3))
    with open_source("camera:evk4") as source:
        assert take(source, 200) == EVENTS[:200]
        assert source.statistics.overflows == 2
        assert source.statistics.lost_packets == 3


def test_a_camera_may_be_unplugged_and_plugged_in_again(plugged):
    first = RecordedDevice([packet_of(EVENTS[:100]), TIMEOUT, RuntimeError("Input/Output Error")])
    again = RecordedDevice([TIMEOUT, packet_of(EVENTS[:100]), TIMEOUT])
    opened = plugged(first, SourceError("camera", "away"), SourceError("camera", "away"), again)
    with open_source("camera:evk4?serial=00ab") as source:
        events = take(source, 200)
        assert source.statistics.device_errors == 1
    assert [serial for _, serial, _, _ in opened] == ["00ab", "00ab"]
    assert not first.is_open.is_set()
    assert events[:100] == EVENTS[:100]
    # The camera's clock restarted; sensor time continues.
    assert events[100][0] > EVENTS[99][0]
    shift = events[100][0] - EVENTS[0][0]
    assert events[100:] == [(t + shift, *rest) for t, *rest in EVENTS[:100]]


def test_closing_ends_the_batches_and_the_device(plugged):
    device = RecordedDevice([packet_of(EVENTS[:10]), TIMEOUT])
    plugged(device)
    source = open_source("camera:evk4")
    for _ in source.batches():
        source.close()
    source.close()
    assert not device.is_open.is_set()
    assert source.statistics.device_errors == 0


def test_coordinates_outside_and_backward_time_are_counted(plugged):
    bad = [*EVENTS[:50], (EVENTS[49][0], 5000, 1, 1), (EVENTS[49][0] - 20, 1, 1, 1)]
    plugged(RecordedDevice([packet_of(bad), TIMEOUT]))
    with open_source("camera:evk4") as source:
        assert len(take(source, 51)) == 51
        assert (source.statistics.outside, source.statistics.reordered) == (1, 1)


def test_settings_reach_the_librarys_configuration(plugged):
    opened = plugged(RecordedDevice([]))
    uri = (
        "camera:evk4?biases=diff_on=20,diff_off=-5&roi=100,50,740,530&event_rate_limit_hz=10000000"
    )
    with open_source(uri):
        configuration = opened[0][0]
        assert configuration.type() == "prophesee_evk4"
        assert (configuration.biases.diff_on, configuration.biases.diff_off) == (20, -5)
        assert configuration.rate_limiter.reference_period_us == 200
        assert configuration.rate_limiter.maximum_events_per_period == 2000
        open_pixels = [1280 - _bits(configuration.x_mask), 720 - _bits(configuration.y_mask)]
        assert open_pixels == [640, 480]


def test_a_running_camera_takes_other_settings_but_those_of_its_uri(plugged):
    opened = plugged(RecordedDevice([]))
    with open_source("camera:evk4?roi=0,0,640,480") as source:
        source.change(CameraParameters(biases="diff_on=7", roi="9,9,99,99"))
        (taken,) = opened[0][3].configurations
        assert taken.biases.diff_on == 7
        assert 1280 - _bits(taken.x_mask) == 640
        with pytest.raises(ParameterError, match="evk4 has no bias spark"):
            source.change(CameraParameters(biases="spark=7"))
        assert len(opened[0][3].configurations) == 1


@pytest.mark.parametrize(("clock", "number"), [("own", 0), ("primary", 1), ("secondary", 2)])
def test_cameras_share_a_clock_as_wired(clock, number):
    assert configuration_of("evk4", CameraParameters(clock=clock)).clock.value == number


def _bits(words) -> int:
    return sum(int(word).bit_count() for word in words)


def test_the_davis_has_a_region_of_its_own_kind():
    region = configuration_of("davis346", CameraParameters(roi="10,20,110,220")).region_of_interest
    assert (region.left, region.top, region.width, region.height) == (10, 20, 100, 200)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("camera:kodak", "camera: 'kodak' is not one of davis346, dvxplorer"),
        ("camera:evk4?colour=red", "colour: no such parameter; known are biases"),
        ("camera:evk4?event_rate_limit_hz=fast", "is not a whole number"),
        ("camera:evk4?roi=1,2,3", "roi: '1,2,3' is not x0,y0,x1,y1"),
        ("camera:evk4?roi=0,0,1281,3", "roi: .* is outside the sensor of 1280x720"),
        ("camera:evk4?biases=diff_on", "biases: 'diff_on' is not NAME=NUMBER"),
        ("camera:evk4?biases=spark=1", "biases: evk4 has no bias spark; it has pr, fo"),
        ("camera:evk4?biases=diff_on=99999", "biases: evk4 does not accept diff_on=99999"),
        ("camera:dvxplorer?roi=0,0,9,9", "roi: dvxplorer does not support a region of interest"),
        ("camera:evk4?clock=shared", "clock: .shared. is not one of own, primary, secondary"),
        ("camera:davis346?clock=primary", "clock: davis346 cannot share its clock"),
        (
            "camera:triton?event_rate_limit_hz=9",
            "event_rate_limit_hz: triton cannot limit its event rate",
        ),
    ],
)
def test_what_a_camera_lacks_is_refused(plugged, uri, reason):
    plugged(RecordedDevice([]))
    with pytest.raises(ParameterError, match=reason):
        open_source(uri)


def test_another_geometry_than_the_cameras_is_refused(plugged):
    plugged(RecordedDevice([]))
    with pytest.raises(ParameterError, match="sensor of 1280x720 pixels, not 640x480"):
        open_source("camera:evk4", size=SIZE)
    plugged(RecordedDevice([]))
    with open_source("camera:evk4", size=SensorSize(1280, 720)) as source:
        assert source.size == SensorSize(1280, 720)


def test_without_a_model_the_first_one_found_is_taken(plugged, monkeypatch):
    plugged(RecordedDevice([]))
    found = [
        ListedCamera("dvxplorer", "iniVation DVXplorer", "A1", "USB", ""),
        ListedCamera("evk4", "Prophesee EVK4", "B2", "USB", ""),
    ]
    monkeypatch.setattr(camera_device, "list_cameras", lambda: found)
    with open_source("camera:") as source:
        assert source.path == "camera:dvxplorer"
    plugged(RecordedDevice([]))
    with open_source("camera:?serial=B2") as source:
        assert source.path == "camera:evk4"
    with pytest.raises(SourceError, match="no camera with serial number C3 is connected"):
        open_source("camera:?serial=C3")


def test_every_camera_of_the_library_has_a_name():
    assert {name.name.lower() for name in nd.Name} == set(MODELS.values())
    for model in MODELS:
        assert configuration_of(model, CameraParameters()).type() == MODELS[model]


def test_listing_gives_the_librarys_devices(monkeypatch):
    device = nd.ListedDevice(nd.Name.PROPHESEE_EVK4, nd.Connection.USB_SUPER, "1:2", "00ab", None)
    monkeypatch.setattr(nd, "list_devices", lambda: [device])
    (listed,) = camera_device.list_cameras()
    assert (listed.model, listed.serial, listed.error) == ("evk4", "00ab", "")


def test_a_machine_without_usb_says_so(monkeypatch):
    def none():
        raise RuntimeError("Other error")

    monkeypatch.setattr(nd, "list_devices", none)
    with pytest.raises(SourceError, match="the USB bus cannot be searched: Other error"):
        camera_device.list_cameras()


def test_a_camera_is_no_recording():
    with pytest.raises(SourceError, match="is a live camera, not a recording"):
        open_recording("camera:evk4")


def test_where_packets_were_lost_or_a_buffer_was_full_events_are_missing(plugged):
    parts = [EVENTS[:100], EVENTS[150:200], EVENTS[200:300], EVENTS[350:400]]
    script = [packet_of(part) for part in parts[:2]] + [packet_of(parts[2], [0]), TIMEOUT]
    plugged(RecordedDevice(script))
    with open_source("camera:evk4") as source:
        take(source, 250)
        (gap,) = source.statistics.gaps
    assert (gap.start, gap.stop) == (EVENTS[199][0] + 1, EVENTS[200][0])
