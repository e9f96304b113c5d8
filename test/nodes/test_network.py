"""Two hosts: nodes in two network namespaces, with the discovery settings of docs/network.md."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evio_ros.ros.share import share_file, use_dds_profile
from evio_ros.sources.registry import open_source

HOSTS = {"robot": "10.77.41.1", "desk": "10.77.41.2"}
LISTENER = """
import sys, time, rclpy
from evio_ros.msg import EventArray
rclpy.init()
node = rclpy.create_node("listener")
messages = []
node.create_subscription(EventArray, "events", messages.append, 1000)
print("ready", flush=True)
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end and not (messages and messages[-1].time_base >= int(sys.argv[2])):
    rclpy.spin_once(node, timeout_sec=0.1)
print(len(messages), sum(len(message.t) for message in messages))
"""

# Two Ethernet interfaces: frames of either come out of the other one, but for a share of them.
LOSSY_CABLE = """
import fcntl, os, random, select, struct, sys
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
share, names = float(sys.argv[1]), sys.argv[2:]
ends = [os.open("/dev/net/tun", os.O_RDWR) for _ in names]
for end, name in zip(ends, names):
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
random.seed(0)
print("ready", flush=True)
while True:
    for end in select.select(ends, [], [])[0]:
        try:
            frame = os.read(end, 65536)
            if random.random() >= share:
                os.write(ends[1 - ends.index(end)], frame)
        except OSError:
            pass  # an interface that is down
"""


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


@contextmanager
def namespaces() -> Iterator[dict[str, str]]:
    """Two hosts without a network: the name of each one's namespace."""
    if os.geteuid() or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    names = {host: f"evio_{host}_{os.getpid()}" for host in HOSTS}
    try:
        for name in names.values():
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    try:
        yield names
    finally:
        for name in names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def connect(names: dict[str, str], interfaces: list[str]) -> None:
    """Give the namespaces' interfaces their addresses, and wait until they run."""
    for (host, name), interface in zip(names.items(), interfaces, strict=True):
        ip("-n", name, "addr", "add", f"{HOSTS[host]}/24", "dev", interface)
        ip("-n", name, "link", "set", interface, "up")
    # Participants use the interfaces that are running when they start.
    for name, interface in zip(names.values(), interfaces, strict=True):
        while "LOWER_UP" not in ip("-n", name, "link", "show", interface):
            time.sleep(0.05)


@pytest.fixture
def hosts() -> Iterator[dict[str, str]]:
    """Hosts joined by a cable of their own: the namespace of each."""
    with namespaces() as names:
        first, second = names.values()
        ends = [f"v{os.getpid()}{letter}" for letter in "ab"]
        ip("link", "add", ends[0], "netns", first, "type", "veth", "peer", ends[1], "netns", second)
        connect(names, ends)
        yield names


@pytest.fixture
def lossy_hosts() -> Iterator[dict[str, str]]:
    """Hosts joined by a cable that loses one frame in twenty."""
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("a cable that loses frames needs /dev/net/tun")
    with namespaces() as names:
        ends = [f"t{os.getpid()}{letter}" for letter in "ab"]
        command = [sys.executable, "-c", LOSSY_CABLE, "0.05", *ends]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as cable:
            assert cable.stdout is not None
            assert cable.stdout.readline() == "ready\n"
            for name, end in zip(names.values(), ends, strict=True):
                ip("link", "set", end, "netns", name)
            connect(names, ends)
            yield names
            cable.kill()


def heard_of_driver(
    names: dict[str, str], recording: Path, patience_s: int, settings: dict[str, dict[str, str]]
) -> tuple[int, int]:
    """Messages and events that one host hears while the other one plays a recording.

    Args:
        names: of the namespaces.
        recording: is played by the robot.
        patience_s: of the listener at the desk, which ends with the last message.
        settings: environment variables of each host.
    """

    def start(host: str, command: list[str]) -> subprocess.Popen:
        environment = {**os.environ, **settings[host]}
        use_dds_profile(environment)
        command = ["ip", "netns", "exec", names[host], sys.executable, *command]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    drive = ["-m", "evio_ros.nodes.driver", "--ros-args", "-p", f"source:={recording}"]
    with start("desk", ["-c", LISTENER, str(patience_s), "500000"]) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "ready\n"
        driver = start("robot", drive)
        try:
            messages, events = map(int, listener.stdout.readline().split())
        finally:
            driver.terminate()
            driver.communicate(timeout=20)
    return messages, events


@pytest.mark.parametrize(
    ("settings", "heard"),
    [
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}, True),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_STATIC_PEERS": "other"}, True),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, False),
    ],
    ids=["subnet", "static peers", "this host only"],
)
def test_events_cross_the_network_as_the_settings_say(hosts, recording, settings, heard):
    robot, desk = dict(settings), dict(settings)
    if "ROS_STATIC_PEERS" in settings:
        robot["ROS_STATIC_PEERS"], desk["ROS_STATIC_PEERS"] = HOSTS["desk"], HOSTS["robot"]
    messages, events = heard_of_driver(
        hosts, recording, 40 if heard else 8, {"robot": robot, "desk": desk}
    )
    if heard:
        assert messages >= 50
        assert events > 100_000
    else:
        assert messages == 0


def test_no_event_is_lost_on_a_network_that_loses_frames(lossy_hosts, recording):
    profile = str(share_file("config/fastdds_profile_lossy_network.xml"))
    settings = {
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
        "FASTDDS_DEFAULT_PROFILES_FILE": profile,
        "FASTRTPS_DEFAULT_PROFILES_FILE": profile,
    }
    messages, events = heard_of_driver(
        lossy_hosts, recording, 60, {"robot": settings, "desk": settings}
    )
    with open_source(str(recording)) as source:
        sent = sum(int((batch.t < 510_000).sum()) for batch in source.batches())
    assert (messages, events) == (51, sent)
