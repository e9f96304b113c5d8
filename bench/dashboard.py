"""Cost and latency of the dashboard.

Events at 10 Mev/s and 50 windows per second of four rotors are published to the dashboard and to a
fake detector, which counts lost messages. Measured are:

- the cost with 0, 1 and 20 clients of both live streams, 10 messages/s each, and 20 requests of the
  status per second; the latency of these;
- the spread of the times at which clients receive the same message;
- the cost of a video frame with WebRTC (with a peer that decodes it) and with MJPEG;
- memory over `--minutes` with one client.

    python bench/dashboard.py [--seconds 10] [--rate 10] [--minutes 0]
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

import numpy as np
import rclpy
from evio_ros.msg import EventArray, RotationState, RotationStateArray
from measurement.cpu_time import cpu_s
from rclpy.serialization import serialize_message

from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.ros.event_messages import to_message
from evio_ros.ros.node_process import NodeProcess
from evio_ros.ros.quality_of_service import (
    EventsQualityParameters,
    events_quality,
    results_quality,
)
from evio_ros.ros.raw_event_array import read_event_array
from evio_ros.ros.share import use_dds_profile

WINDOW_US = 5000
STATES_EVERY = 4
ROTORS = 4
SIZE = SensorSize(1280, 720)
SEQ_MARK, TIME_MARK = 0x1122334455667788, 0x0102030405060708


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--rate", type=float, default=10.0, help="million events a second")
    parser.add_argument("--minutes", type=float, default=0.0, help="for observing the memory")
    parser.add_argument("--role", choices=("publisher", "detector"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    use_dds_profile(os.environ)
    if chosen.role == "publisher":
        return publish(chosen.rate * 1e6)
    if chosen.role == "detector":
        return count()
    try:
        import uvicorn  # noqa: F401 - the dashboard's server
        import websockets  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error.name} is not installed (pip install 'evio_ros[web]')")
        return 0
    asyncio.run(measure(chosen.seconds, chosen.rate, chosen.minutes))
    return 0


async def measure(seconds: float, rate: float, minutes: float) -> None:
    """Run all measurements in turn."""
    with (
        tempfile.TemporaryDirectory() as folder,
        role("detector") as detector,
        role("publisher", f"--rate={rate}"),
    ):
        received, lost = await asyncio.to_thread(losses, detector, seconds)
        print(f"{rate:g} Mev/s, no dashboard: {received} messages, {lost} lost")
        parameters = {"web.port": 0, "history.file": str(Path(folder) / "h.sqlite")}
        parameters["web.requests_a_second"] = 1000.0
        with NodeProcess("dashboard", parameters) as node:
            port = await asyncio.to_thread(port_of, node)
            await asyncio.sleep(2.0)
            for clients in (0, 1, 20):
                await one(node, detector, port, clients, seconds)
            for name, watch in (("WebRTC", by_webrtc), ("MJPEG", by_mjpeg)):
                await one_video(node, port, name, watch, seconds)
            if minutes:
                await watch_memory(node, port, minutes)


async def one(
    node: NodeProcess,
    detector: subprocess.Popen,
    port: int,
    clients: int,
    seconds: float,
) -> None:
    """Measure with a number of clients, and print a line."""
    arrivals: dict[tuple[str, int], list[float]] = defaultdict(list)
    latencies: list[float] = []
    tasks = [
        asyncio.create_task(listen(port, name, arrivals))
        for _ in range(clients)
        for name in ("states", "events")
    ]
    if clients:
        await asyncio.sleep(1.0)
    counting = asyncio.create_task(asyncio.to_thread(losses, detector, seconds))
    asking = asyncio.create_task(asyncio.to_thread(ask_status, port, seconds, latencies))
    before_s, began_s = cpu_s(node.pid), time.monotonic()
    received, lost = await counting
    cost = 100.0 * (cpu_s(node.pid) - before_s) / (time.monotonic() - began_s)
    await asking
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(
        f"{clients} clients: {cost:.1f} % of a core, {received} messages, {lost} lost, status p50 "
        f"{percentile(latencies, 50):.1f} ms, p99 {percentile(latencies, 99):.1f} ms, "
        f"memory {resident_mb(node.pid):.0f} MB"
    )
    if clients > 1:
        apart = [1e3 * (t - times[0]) for times in arrivals.values() for t in times[1:]]
        messages = sum(map(len, arrivals.values())) / clients / (time.monotonic() - began_s) / 2
        print(
            f"  {messages:.1f} messages a second of each stream to each client, "
            f"p99 {percentile(apart, 99):.1f} ms after the first client has it"
        )


async def one_video(
    node: NodeProcess,
    port: int,
    name: str,
    watch: Callable[[int], AsyncGenerator[tuple[int, int]]],
    seconds: float,
) -> None:
    """Measure with one viewer of the video, and print a line.

    The cost of a frame is the increase over the node's cost with a client of the events.
    """
    listening = asyncio.create_task(listen(port, "events", defaultdict(list)))
    await asyncio.sleep(1.0)
    before_s, began_s = cpu_s(node.pid), time.monotonic()
    await asyncio.sleep(0.5 * seconds)
    usual = (cpu_s(node.pid) - before_s) / (time.monotonic() - began_s)
    listening.cancel()
    try:
        frames = watch(port)
        size = await anext(frames)
        before_s, began_s, count = cpu_s(node.pid), time.monotonic(), 0
        while time.monotonic() - began_s < seconds:
            size = await anext(frames)
            count += 1
    except ImportError as error:
        print(f"{name}: skipped, {error.name} is not installed")
        return
    spent_s, took_s = cpu_s(node.pid) - before_s, time.monotonic() - began_s
    await frames.aclose()
    print(
        f"{name}, {size[0]}x{size[1]}: {count / took_s:.1f} pictures a second, "
        f"{100 * spent_s / took_s:.0f} % of a core, of which {100 * usual:.0f} % without it: "
        f"{1e3 * (spent_s - usual * took_s) / count:.1f} ms a picture"
    )


async def by_webrtc(port: int) -> AsyncGenerator[tuple[int, int]]:
    """Sizes of frames received and decoded by a WebRTC peer."""
    import aiortc

    peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    came = asyncio.get_running_loop().create_future()
    peer.on("track", came.set_result)
    try:
        peer.addTransceiver("video", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        offer = {"sdp": peer.localDescription.sdp, "type": "offer"}
        answer = await asyncio.to_thread(post, port, "/api/video/offer", offer)
        await peer.setRemoteDescription(aiortc.RTCSessionDescription(**answer))
        track = await came
        while True:
            frame = await track.recv()
            yield frame.width, frame.height
    finally:
        await peer.close()


async def by_mjpeg(port: int) -> AsyncGenerator[tuple[int, int]]:
    """Sizes of frames received as MJPEG."""
    import cv2

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10.0)
    connection.request("GET", "/api/video/mjpeg")
    response = connection.getresponse()

    def picture() -> tuple[int, int]:
        lines = [response.readline() for _ in range(4)]
        data = response.read(int(lines[2].partition(b":")[2]))
        response.readline()
        height, width, _ = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape
        return width, height

    try:
        while True:
            yield await asyncio.to_thread(picture)
    finally:
        connection.close()


def post(port: int, path: str, body: object) -> Any:
    """The JSON response to a POST request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10.0)
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


async def listen(port: int, name: str, arrivals: dict[tuple[str, int], list[float]]) -> None:
    """Receive one stream's messages and record their times of arrival."""
    import websockets

    from evio_ros.web.column_frame import decode_column_frame

    address = f"ws://127.0.0.1:{port}/ws/{name}"
    async with websockets.connect(address, max_size=None, compression=None) as client:
        async for message in client:
            now_s = time.monotonic()
            header, _ = decode_column_frame(message)
            arrivals[name, header.get("t_us", header.get("end_us"))].append(now_s)


async def watch_memory(node: NodeProcess, port: int, minutes: float) -> None:
    """Print the memory every minute, with a client of each stream."""
    arrivals: dict[tuple[str, int], list[float]] = defaultdict(list)
    tasks = [asyncio.create_task(listen(port, name, arrivals)) for name in ("states", "events")]
    for minute in range(round(minutes)):
        await asyncio.to_thread(ask_status, port, 60.0, [])
        arrivals.clear()
        print(f"  after {minute + 1} min: {resident_mb(node.pid):.1f} MB", flush=True)
    for task in tasks:
        task.cancel()


def ask_status(port: int, seconds: float, latencies_ms: list[float]) -> None:
    """Request the status 20 times per second over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10.0)
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        began_s = time.monotonic()
        connection.request("GET", "/api/status")
        connection.getresponse().read()
        latencies_ms.append(1e3 * (time.monotonic() - began_s))
        time.sleep(0.05)
    connection.close()


def losses(detector: subprocess.Popen, seconds: float) -> tuple[int, int]:
    """Messages that the fake detector receives and loses within a time."""
    before = totals(detector)
    time.sleep(seconds)
    after = totals(detector)
    return after[0] - before[0], after[1] - before[1]


def totals(detector: subprocess.Popen) -> tuple[int, int]:
    """The fake detector's counts so far: received and lost."""
    assert detector.stdin is not None
    assert detector.stdout is not None
    detector.stdin.write("\n")
    detector.stdin.flush()
    received, lost = detector.stdout.readline().split()
    return int(received), int(lost)


@contextmanager
def role(name: str, *arguments: str) -> Iterator[subprocess.Popen]:
    """Run another role of this program as a process."""
    command = [sys.executable, __file__, "--role", name, *arguments]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def publish(events_a_second: float) -> int:
    """Publish events and states at an even pace until killed."""
    rclpy.init()
    node = rclpy.create_node("bench_publisher")
    events = node.create_publisher(EventArray, "events", events_quality(EventsQualityParameters()))
    states = node.create_publisher(RotationStateArray, "rotation_states", results_quality())
    data = bytearray(serialize_message(message(events_a_second)))
    # Only these two numbers change from message to message.
    seq_at = data.index(SEQ_MARK.to_bytes(8, "little"))
    time_at = data.index(TIME_MARK.to_bytes(8, "little"))
    due_s = time.monotonic()
    for seq in range(1 << 40):
        data[seq_at : seq_at + 8] = seq.to_bytes(8, "little")
        data[time_at : time_at + 8] = (seq * WINDOW_US).to_bytes(8, "little")
        events.publish(bytes(data))
        if seq % STATES_EVERY == 0:
            rotors = [RotationState(id=i, rpm=1000.0 + i, blade_count=3) for i in range(ROTORS)]
            window = RotationStateArray(window_end=seq * WINDOW_US, window_length=20_000)
            window.states, window.event_count = rotors, round(events_a_second * 0.02)
            window.header.stamp = node.get_clock().now().to_msg()
            states.publish(window)
        due_s += 1e-6 * WINDOW_US
        time.sleep(max(0.0, due_s - time.monotonic()))
    return 0


def message(events_a_second: float) -> EventArray:
    """A message of uniform random events, with marks for sequence number and time."""
    rng = np.random.default_rng(1)
    n = round(events_a_second * 1e-6 * WINDOW_US)
    t = TIME_MARK + np.sort(rng.integers(0, WINDOW_US, n))
    x = rng.integers(0, SIZE.width, n).astype(np.uint16)
    y = rng.integers(0, SIZE.height, n).astype(np.uint16)
    batch = EventBatch(SIZE, t, x, y, rng.random(n) < 0.5)
    return to_message(EventWindow(TIME_MARK, WINDOW_US, batch), SEQ_MARK, "camera", 0)


def count() -> int:
    """Receive events; for each input line, print the numbers of messages received and lost."""
    import threading

    rclpy.init()
    node = rclpy.create_node("bench_detector")
    counted = {"received": 0, "lost": 0, "next": -1}

    def take(data: bytes) -> None:
        seq = read_event_array(data).seq
        if counted["next"] >= 0:
            counted["lost"] += max(0, seq - counted["next"])
        counted["next"] = seq + 1
        counted["received"] += 1

    quality = events_quality(EventsQualityParameters())
    node.create_subscription(EventArray, "events", take, quality, raw=True)
    threading.Thread(target=rclpy.spin, args=(node,), daemon=True).start()
    for _ in sys.stdin:
        print(counted["received"], counted["lost"], flush=True)
    return 0


def port_of(node: NodeProcess) -> int:
    """The port of the dashboard, from its log."""
    for _ in range(600):
        found = re.search(r"dashboard is at http://127\.0\.0\.1:(\d+)/", node.output())
        if found:
            return int(found[1])
        if node.exit_code is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"the dashboard did not start: {node.output()}")


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") * 1e-6


def percentile(values: list[float], part: float) -> float:
    """A percentile; NaN without values."""
    return float(np.percentile(values, part)) if values else float("nan")


if __name__ == "__main__":
    sys.exit(main())
