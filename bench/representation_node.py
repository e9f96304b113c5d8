"""Cost of the representation node, which sends a stacked histogram and a picture over DDS.

One process publishes random events at a steady rate, another subscribes; the node's CPU time is
read from /proc. No message may be lost, and every window must be published.

    python bench/representation_node.py [--rate 20e6] [--seconds 5] [--downsample 2]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import time
from multiprocessing.synchronize import Event

import numpy as np
from measurement.cpu_time import cpu_s

from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.ros.share import use_dds_profile

SIZE = SensorSize(1280, 720)
MESSAGE_US = 10_000
DIFFERENT_MESSAGES = 8
SETTLE_S = 4.0


def publish(rate: float, seconds: float, go: Event, done: Event) -> None:
    """Publish messages of 10 ms in real time."""
    import rclpy
    from evio_ros.msg import EventArray
    from rclpy.qos import QoSProfile

    from evio_ros.ros.event_messages import to_message

    rng = np.random.default_rng(0)
    count = round(rate * MESSAGE_US * 1e-6)
    messages = []
    for _ in range(DIFFERENT_MESSAGES):
        events = EventBatch(
            SIZE,
            np.sort(rng.integers(0, MESSAGE_US, count)),
            rng.integers(0, SIZE.width, count).astype(np.uint16),
            rng.integers(0, SIZE.height, count).astype(np.uint16),
            rng.random(count) < 0.5,
        )
        messages.append(to_message(EventWindow(0, MESSAGE_US, events), 0, "camera", 0))
    rclpy.init(args=[])
    node = rclpy.create_node("random_events")
    publisher = node.create_publisher(EventArray, "events", QoSProfile(depth=100))
    go.wait()
    started_s = time.monotonic()
    for seq in range(round(seconds * 1e6 / MESSAGE_US)):
        message = messages[seq % DIFFERENT_MESSAGES]
        message.seq, message.time_base = seq, seq * MESSAGE_US
        publisher.publish(message)
        wait_s = started_s + (seq + 1) * MESSAGE_US * 1e-6 - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
    late_s = time.monotonic() - started_s - seconds
    print(f"publisher: {count} events a message, {1e3 * max(late_s, 0):.0f} ms behind at the end")
    done.wait()


def measure(rate: float, seconds: float, downsample: int) -> None:
    """Run the three processes and print one row."""
    import rclpy
    from diagnostic_msgs.msg import DiagnosticArray
    from evio_ros.msg import EventTensor
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import Image

    from evio_ros.ros.node_process import NodeProcess

    context = multiprocessing.get_context("spawn")
    go, done = context.Event(), context.Event()
    sender = context.Process(target=publish, args=(rate, seconds, go, done))
    sender.start()
    rclpy.init(args=[])
    listener = rclpy.create_node("listener")
    executor = SingleThreadedExecutor()
    executor.add_node(listener)
    tensors, pictures, reports = [], [], []
    quality = QoSProfile(depth=20, reliability=ReliabilityPolicy.BEST_EFFORT)
    topic = "representation/stacked_histogram"
    listener.create_subscription(
        EventTensor, topic, lambda m: tensors.append(m.event_count), quality
    )
    listener.create_subscription(
        Image, "representation/image", lambda m: pictures.append(m.width), quality
    )
    listener.create_subscription(
        DiagnosticArray, "/diagnostics", lambda m: reports.append(m.status[0]), 10
    )
    with NodeProcess("representation", {"stacked_histogram.downsample": downsample}) as node:
        spin(executor, SETTLE_S, lambda: listener.count_publishers(topic) and len(reports) > 1)
        before_s, started_s = cpu_s(node.pid), time.monotonic()
        go.set()
        spin(executor, seconds + 2.0, lambda: False)
        used_s = cpu_s(node.pid) - before_s
    done.set()
    sender.join()
    elapsed_s = min(time.monotonic() - started_s, seconds)
    values = {value.key: value.value for value in reports[-1].values}
    histograms, images = round(seconds * 20), round(seconds * 25)
    print(
        f"node: {used_s / elapsed_s:.0%} of one core at {rate * 1e-6:g} Mev/s\n"
        f"in:   {values['messages']} messages, {values['messages_lost']} lost\n"
        f"out:  {len(tensors)} of {histograms} histograms, {len(pictures)} of {images} pictures\n"
        f"load: {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs; a node that does not get the "
        "processor in time loses messages"
    )
    listener.destroy_node()
    rclpy.shutdown()


def spin(executor, at_most_s: float, until) -> None:
    """Spin for a time, or until a condition holds twice a second."""
    end_s = time.monotonic() + at_most_s
    while time.monotonic() < end_s and not until():
        executor.spin_once(timeout_sec=0.1)


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=20e6, help="events a second")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--downsample", type=int, default=2, choices=(1, 2))
    chosen = parser.parse_args()
    use_dds_profile(os.environ)
    # Separate from other nodes on this network.
    os.environ.setdefault("ROS_DOMAIN_ID", str(random.randint(1, 100)))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    measure(chosen.rate, chosen.seconds, chosen.downsample)


if __name__ == "__main__":
    main()
