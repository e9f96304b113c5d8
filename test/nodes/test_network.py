"""Two hosts: nodes in two network namespaces, with the discovery settings of docs/network.md."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from evio_ros.ros.share import use_dds_profile

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


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def hosts() -> Iterator[dict[str, str]]:
    """Namespaces joined by a cable of their own: name and address of each."""
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
        first, second = names.values()
        ends = [f"v{os.getpid()}{letter}" for letter in "ab"]
        ip("link", "add", ends[0], "netns", first, "type", "veth", "peer", ends[1], "netns", second)
        for (host, name), end in zip(names.items(), ends, strict=True):
            ip("-n", name, "addr", "add", f"{HOSTS[host]}/24", "dev", end)
            ip("-n", name, "link", "set", end, "up")
        # Participants use the interfaces that are running when they start.
        for name, end in zip(names.values(), ends, strict=True):
            while "state UP" not in ip("-n", name, "link", "show", end):
                time.sleep(0.05)
        yield names
    finally:
        for name in names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


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
    def start(host: str, other: str, command: list[str]) -> subprocess.Popen:
        environment = {**os.environ, **settings}
        if "ROS_STATIC_PEERS" in settings:
            environment["ROS_STATIC_PEERS"] = HOSTS[other]
        use_dds_profile(environment)
        command = ["ip", "netns", "exec", hosts[host], sys.executable, *command]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    patience_s = "40" if heard else "8"
    listen = ["-c", LISTENER, patience_s, "500000"]
    drive = ["-m", "evio_ros.nodes.driver", "--ros-args", "-p", f"source:={recording}"]
    with start("desk", "robot", listen) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "ready\n"
        driver = start("robot", "desk", drive)
        try:
            messages, events = map(int, listener.stdout.readline().split())
        finally:
            driver.terminate()
            driver.communicate(timeout=20)
    if heard:
        assert messages >= 50
        assert events > 100_000
    else:
        assert messages == 0
