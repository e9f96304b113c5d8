"""Pictures of a view, their JPEGs, and WebRTC with a second peer that decodes them."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Iterator

import numpy as np
import pytest
from fastapi import FastAPI
from web_desk import Desk, ask, rotor, sample, served

from evio_ros.events import EventBatch, SensorSize
from evio_ros.representations.picture import Picture
from evio_ros.web.live_view import Detection, EventSample, LiveView
from evio_ros.web.picture_feed import PictureFeed, picture_of
from evio_ros.web.video import video_routes
from evio_ros.web.web_server import WebServer

SIZE = SensorSize(160, 120)
TIMEOUT_S = 30.0


def with_events(view: LiveView, share: float = 1.0) -> None:
    """A block of ON events at the left, of OFF events at the right."""
    count = 800
    place = np.arange(count)
    x = np.where(place % 2, 20 + place // 2 % 20, 120 + place // 2 % 20).astype(np.uint16)
    y = (50 + place // 40 % 20).astype(np.uint16)
    events = EventBatch(SIZE, place * 50, x, y, place % 2 == 1)
    view.put_events(EventSample(events, 0, 50_000, share))


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    with_events(desk.view)
    return desk


@pytest.fixture
def server(desk) -> Iterator[WebServer]:
    app = FastAPI()
    app.include_router(video_routes(desk.view))
    with served(app) as server:
        yield server


def test_a_view_without_a_sensor_has_no_picture():
    assert picture_of(LiveView()) is None


def test_events_are_light_where_they_are(desk):
    picture = picture_of(desk.view)
    assert picture is not None
    assert picture.shape == (120, 160, 3)
    on, off = picture[50:70, 20:40].mean(axis=(0, 1)), picture[50:70, 120:140].mean(axis=(0, 1))
    assert on[0] > 2 * on[2]  # orange
    assert off[2] > 2 * off[0]  # blue
    assert picture[0, 0].max() < 30


def test_an_event_that_stands_for_others_shines_brighter():
    brightness = []
    for share in (1.0, 0.2):
        view = LiveView()
        with_events(view, share)
        picture = picture_of(view)
        assert picture is not None
        brightness.append(picture[50:70, 20:40].mean())
    assert brightness[1] > 1.2 * brightness[0]


def test_rotors_are_drawn_in(desk):
    pytest.importorskip("cv2", reason="OpenCV draws the rotors")
    before = picture_of(desk.view)
    desk.view.put_state(sample(50_000, rotor(1, center=(80.0, 60.0), axes=(30.0, 20.0))))
    after = picture_of(desk.view)
    assert before is not None
    assert after is not None
    changed = (before != after).any(axis=2)
    assert changed[60, 110] or changed[60, 109]  # the rim at its right end
    assert not changed[119, 159]


def test_detections_are_drawn_in(desk):
    pytest.importorskip("cv2", reason="OpenCV draws the boxes")
    before = picture_of(desk.view)
    desk.view.put_detections((Detection((80.0, 90.0), (40.0, 20.0), 0.75, "drone", "7"),))
    after = picture_of(desk.view)
    assert before is not None
    assert after is not None
    changed = (before != after).any(axis=2)
    assert changed[80:101, 60].all()
    assert changed[80:101, 100].all()
    assert not changed[81:100, 61:100].any()


def test_the_picture_of_the_graph_comes_first(desk):
    given = np.full((4, 6, 3), 77, np.uint8)
    desk.view.put_picture(given)
    assert picture_of(desk.view) is given


def test_no_picture_is_drawn_while_the_viewers_are_busy(desk, monkeypatch):
    drawn = []

    def draw(view: LiveView) -> Picture | None:
        drawn.append(view.states)
        return picture_of(view)

    monkeypatch.setattr("evio_ros.web.picture_feed.picture_of", draw)

    async def watch() -> list[int]:
        feed = PictureFeed(desk.view, 200.0, 1)
        counts = []
        async with feed.watching():
            number, _ = await feed.after(0)
            for step in range(1, 20):
                desk.view.put_state(sample(50_000 * step))
                await asyncio.sleep(0.02)
            counts.append(len(drawn))
            await feed.after(number)
            counts.append(len(drawn))
        return counts

    before, after = asyncio.run(watch())
    assert before <= 2
    assert after == before + 1
    assert drawn[-1] == desk.view.states  # the newest


def test_jpegs_follow_one_another(server):
    cv2 = pytest.importorskip("cv2", reason="MJPEG needs OpenCV")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_S)
    connection.request("GET", "/api/video/mjpeg")
    response = connection.getresponse()
    assert response.status == 200
    boundary = response.getheader("content-type").partition("boundary=")[2]
    for _ in range(3):
        assert response.readline().strip() == b"--" + boundary.encode()
        assert response.readline().strip() == b"Content-Type: image/jpeg"
        length = int(response.readline().partition(b":")[2])
        assert response.readline() == b"\r\n"
        picture = cv2.imdecode(np.frombuffer(response.read(length), np.uint8), cv2.IMREAD_COLOR)
        assert response.readline() == b"\r\n"
        assert picture.shape == (120, 160, 3)
    connection.close()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"sdp": "no description", "type": "offer"}, 400),
        ({"sdp": "v=0\r\n", "type": "answer"}, 422),
        ({"sdp": "v" * 100_000, "type": "offer"}, 422),
        ({}, 422),
    ],
)
def test_what_is_no_offer_is_refused(server, body, status):
    pytest.importorskip("aiortc", reason="WebRTC: pip install 'evio_ros[video]'")
    assert ask(server.port, "/api/video/offer", "POST", body)[0] == status


def test_a_peer_decodes_the_video(server, desk):
    aiortc = pytest.importorskip("aiortc", reason="WebRTC: pip install 'evio_ros[video]'")
    expected = picture_of(desk.view)
    assert expected is not None

    async def watch() -> tuple[np.ndarray, float, str]:
        peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        came = asyncio.get_running_loop().create_future()
        peer.on("track", came.set_result)
        try:
            peer.addTransceiver("video", direction="recvonly")
            await peer.setLocalDescription(await peer.createOffer())
            offer = {"sdp": peer.localDescription.sdp, "type": "offer"}
            status, answer, _ = await asyncio.to_thread(
                ask, server.port, "/api/video/offer", "POST", offer
            )
            assert status == 200
            description = aiortc.RTCSessionDescription(answer["sdp"], answer["type"])
            await peer.setRemoteDescription(description)
            track = await asyncio.wait_for(came, TIMEOUT_S)
            frame = await asyncio.wait_for(track.recv(), TIMEOUT_S)
            started_s = time.monotonic()
            for _ in range(4):
                with_events(desk.view)
                desk.view.put_state(sample(50_000))
                frame = await asyncio.wait_for(track.recv(), TIMEOUT_S)
            return frame.to_ndarray(format="rgb24"), time.monotonic() - started_s, answer["sdp"]
        finally:
            await peer.close()

    frame, _, description = asyncio.run(watch())
    assert "VP8" in description
    assert frame.shape == expected.shape
    assert np.abs(frame.astype(int) - expected).mean() < 12  # lossy
