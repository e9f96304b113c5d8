"""The nodes as processes over DDS at increasing rates: loss, latency and accuracy.

python bench/graph.py
python bench/graph.py --seconds 60 --rates 1 2 4 8 --recording fan.dat

A driver, a rotation detector and a fusion node process a simulated fan of 4.7 million events/s, and
two of them, at several times real time. In a separate run before, a plain rclpy node receives the
same messages and only relays them: messages that it loses cannot reach any node. "Locked" is the
share of the windows that fusion published with correct speeds. Latency is counted from sending the
window's last event. The detector's processor time per second of sensor time is
compared with that of `evio analyze`, at full speed and paced: between two steps, other processes
use the caches.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event as ProcessEvent
from pathlib import Path

import numpy as np
from measurement.cpu_time import cpu_s
from rich.console import Console
from rich.table import Table

from evio_ros.events import EventBatch
from evio_ros.pipeline import measure_source
from evio_ros.playback.simulated_recording import cached_recording
from evio_ros.ros.node_process import NodeProcess
from evio_ros.ros.share import use_dds_profile
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.sources.registry import open_recording
from evio_ros.sources.writers.dat import DatWriter

SCENE, RPM, TURNS = "fan_constant", 1153.7, 19
FAN_MEV_S = 4.7
APART_PX = 300
WINDOW_US, STEP_US, MESSAGE_US = 20_000, 10_000, 10_000
SETTLE_US = 500_000
ANALYSED_US = 4_000_000
DAT_BYTES = 8
RIGHT = 0.01
START_S, QUIET_S = 60.0, 3.0
DEPTH, CPU_EVERY_US = 100_000, 100_000


@dataclass
class Run:
    """Results of one replay.

    Attributes:
        rate: speed relative to real time.
        begin_us, end_us: interval of sensor time played.
        relay_lost, messages: messages lost by the plain node, and all messages.
        late_ms: latency of each window's result after the first 500 ms.
        rpm: speeds of all rotors in each window after the first 500 ms.
        driver_cpu_s: processor time of the driver.
        detector_cpu: that of the detector per second of sensor time after the first 500 ms.
        behind_s: greatest delay of the driver.
        values: the detector's last diagnostics.
        share: least share of events kept, as reported by the detector.
    """

    rate: float
    begin_us: int
    end_us: int
    relay_lost: int = 0
    messages: int = 0
    late_ms: list[float] = field(default_factory=list)
    rpm: list[list[float]] = field(default_factory=list)
    driver_cpu_s: float = 0.0
    detector_cpu: float = float("nan")
    behind_s: float = 0.0
    values: dict[str, str] = field(default_factory=dict)
    share: float = 1.0

    @property
    def played_s(self) -> float:
        """Sensor time played in s."""
        return 1e-6 * (self.end_us - self.begin_us)

    def locked(self, rotors: int) -> float:
        """Share of the windows after the first 500 ms in which all speeds were correct."""
        due = (self.end_us - self.begin_us - SETTLE_US) // STEP_US
        right = [sum(abs(abs(v) / RPM - 1) < RIGHT for v in rpm) >= rotors for rpm in self.rpm]
        return sum(right) / max(due, 1)

    @property
    def error(self) -> float:
        """Relative error of the median speed."""
        speeds = [abs(v) for rpm in self.rpm for v in rpm]
        return abs(float(np.median(speeds)) / RPM - 1) if speeds else float("nan")


def compose(fans: int, seconds: float, path: Path) -> None:
    """Write a recording of one or two fans by repeating whole turns of a simulated one."""
    period_us = round(60e6 / RPM * TURNS)
    with open_recording(str(cached_recording(SCENE, 1e-6 * period_us + 0.05))) as source:
        size = source.size
        once = EventBatch.concatenate(size, source.batches()).between(0, period_us)
    chance = np.random.default_rng(0)
    # The fan looks the same a third of a turn later: adds events without sharpening edges.
    more = chance.random(len(once)) < FAN_MEV_S * period_us / len(once) - 1
    t = np.concatenate((once.t, (once.t[more] + round(20e6 / RPM)) % period_us))
    x, y, polarity = (
        np.concatenate((column, column[more])) for column in (once.x, once.y, once.polarity)
    )
    columns = [(t, x.astype(np.int64), y, polarity)]
    if fans == 2:
        columns = [(t, x + side * APART_PX, y, polarity) for side in (-1, 1)]
    t, x, y, polarity = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    order = np.argsort(t, kind="stable")
    order = order[(x[order] >= 0) & (x[order] < size.width)]
    t, x, y, polarity = t[order], x[order].astype(np.uint16), y[order], polarity[order]
    with DatWriter(path, size) as writer:
        for start_us in range(0, round(1e6 * seconds), period_us):
            writer.append(EventBatch(size, t + start_us, x, y, polarity))


def relay(
    total: int, ready: ProcessEvent, done: ProcessEvent, answer: multiprocessing.Queue
) -> None:
    """Relay messages, and report the number received at the end."""
    import rclpy
    from evio_ros.msg import EventArray

    from evio_ros.ros.quality_of_service import EventsQualityParameters, events_quality

    rclpy.init(args=[])
    node = rclpy.create_node("relay")
    seqs: list[int] = []
    publisher = node.create_publisher(
        EventArray, "relayed", events_quality(EventsQualityParameters())
    )

    def pass_on(message: EventArray) -> None:
        seqs.append(message.seq)
        publisher.publish(message)

    quality = events_quality(EventsQualityParameters())
    node.create_subscription(EventArray, "events", pass_on, quality)
    ready.set()
    while not done.is_set() and len(seqs) < total:
        rclpy.spin_once(node, timeout_sec=0.1)
    answer.put(len(seqs))
    rclpy.shutdown()


def driver_of(path: Path, run: Run) -> NodeProcess:
    """Start the driver node."""
    return NodeProcess(
        "driver",
        {
            "source": str(path),
            "replay.rate": run.rate,
            "replay.window_us": MESSAGE_US,
            "replay.duration_us": run.end_us - run.begin_us,
            # Shows when the events of a window have been sent.
            "outputs.publish_clock": True,
        },
    )


def run_relay(path: Path, run: Run) -> None:
    """Play to the plain node."""
    context = multiprocessing.get_context("spawn")
    ready, done, answer = context.Event(), context.Event(), context.Queue()
    run.messages = (run.end_us - run.begin_us) // MESSAGE_US
    process = context.Process(target=relay, args=(run.messages, ready, done, answer))
    process.start()
    ready.wait(START_S)
    with driver_of(path, run) as driver:
        driver.wait(START_S + 3 * run.played_s / run.rate)
    done.set()
    run.relay_lost = run.messages - answer.get(timeout=START_S)
    process.join()


class Listener:
    """Receives results and diagnostics during a replay.

    Args:
        run: filled with the results.
        detector_pid: process id of the detector.
    """

    def __init__(self, run: Run, detector_pid: int) -> None:
        from diagnostic_msgs.msg import DiagnosticArray
        from evio_ros.msg import RotationStateArray
        from rosgraph_msgs.msg import Clock

        from evio_ros.ros.quality_of_service import results_quality
        from evio_ros.ros.raw_rotation_states import read_rotation_states
        from evio_ros.ros.rotation_listener import LocalNode

        # Windows for which this process is too late have been published all the same.
        quality = results_quality()
        quality.depth = DEPTH
        self._read = read_rotation_states
        self.run = run
        self.latest_s = time.monotonic()
        self.last_end_us = 0
        self.ready: set[str] = set()
        self.local = LocalNode("graph_bench")
        self._pid = detector_pid
        self._sent_s: dict[tuple[int, int], float] = {}
        # Sensor time and the detector's processor time after the first 500 ms.
        self._settled: tuple[int, float] | None = None
        self._cpu_due_us = 0
        node = self.local.node
        node.create_subscription(Clock, "/clock", self.note_sent, quality)
        node.create_subscription(
            RotationStateArray, "rotation_states", self.take, quality, raw=True
        )
        node.create_subscription(DiagnosticArray, "/diagnostics", self.note, 100)

    def note_sent(self, message) -> None:
        """Record when all events before a time have been sent."""
        self._sent_s[message.clock.sec, message.clock.nanosec] = time.monotonic()

    def take(self, data: bytes) -> None:
        """Record a window's rotors; states predicted without a new window are skipped."""
        message = self._read(data)
        run, end_us = self.run, message.window_end
        if end_us <= self.last_end_us:
            return
        self.latest_s, self.last_end_us = time.monotonic(), end_us
        if end_us <= run.begin_us + SETTLE_US:
            return
        stamp = message.header.stamp
        sent_s = self._sent_s.get((stamp.sec, stamp.nanosec))
        if sent_s is not None:
            run.late_ms.append(1e3 * (self.latest_s - sent_s))
        run.rpm.append([rotor.rpm for rotor in message.estimates if rotor.confidence >= 0.5])
        self._note_cpu(end_us)

    def _note_cpu(self, end_us: int) -> None:
        """Measure the detector's processor time, ten times per second of sensor time."""
        if end_us < self._cpu_due_us:
            return
        self._cpu_due_us = end_us + CPU_EVERY_US
        used_s = cpu_s(self._pid)
        if self._settled is None:
            self._settled = end_us, used_s
        else:
            span_s = 1e-6 * (end_us - self._settled[0])
            self.run.detector_cpu = (used_s - self._settled[1]) / span_s

    def note(self, message) -> None:
        """Record the diagnostics of the nodes."""
        for status in message.status:
            name = status.name.partition(": ")[0]
            self.ready.add(name)
            values = {value.key: value.value for value in status.values}
            if name == "/rotation_detector":
                self.run.values = values
                self.run.share = min(self.run.share, float(values.get("share_taken", 1.0)))
            elif name == "/driver":
                self.run.behind_s = max(self.run.behind_s, float(values.get("behind_s", 0.0)))


def run_graph(path: Path, run: Run) -> None:
    """Play to the detector and the fusion node."""
    parameters = {"window_us": WINDOW_US, "step_us": STEP_US}
    with NodeProcess("rotation_detector", parameters) as detector, NodeProcess("fusion"):
        listener = Listener(run, detector.pid)
        spin(listener, START_S, lambda: {"/rotation_detector", "/fusion"} <= listener.ready)
        with driver_of(path, run) as driver:
            before_s = driver_s = 0.0
            end_s = time.monotonic() + START_S + 3 * run.played_s / run.rate
            while driver.exit_code is None and time.monotonic() < end_s:
                listener.local.spin_once(0.05)
                driver_s = cpu_s(driver.pid) or driver_s
                if not listener.last_end_us:
                    before_s = driver_s
            run.driver_cpu_s = driver_s - before_s
        listener.latest_s = time.monotonic()
        spin(listener, START_S, lambda: time.monotonic() - listener.latest_s > QUIET_S)
        listener.local.__exit__()


def spin(listener: Listener, at_most_s: float, until) -> None:
    """Spin for a time, or until a condition holds."""
    end_s = time.monotonic() + at_most_s
    while time.monotonic() < end_s and not until():
        listener.local.spin_once(0.05)


def analyze_cpu(path: Path, length_us: int, paced: bool) -> float:
    """Processor time of `evio analyze` per second of sensor time after the first 500 ms.

    Args:
        path: the recording.
        length_us: length of the measured part.
        paced: whether to run in real time.
    """
    parameters = RotationDetectorParameters(window_us=WINDOW_US, step_us=STEP_US)
    begin_s, used_s = time.monotonic(), 0.0
    with open_recording(str(path)) as source:
        for measurement in measure_source(source, parameters, 0, length_us):
            if measurement.t_us <= SETTLE_US:
                used_s = time.process_time()
            if paced:
                time.sleep(max(begin_s + 1e-6 * measurement.t_us - time.monotonic(), 0.0))
    return (time.process_time() - used_s) / (1e-6 * (length_us - SETTLE_US))


def row_of(run: Run, fans: int, mev_s: float, analyze: tuple[float, float]) -> list[str]:
    """A line of the table."""
    p50, p99 = np.percentile(run.late_ms, (50, 99)) if run.late_ms else (np.nan, np.nan)
    free, paced = analyze
    return [
        f"{fans}",
        f"{run.rate:g}",
        f"{mev_s * run.rate:.1f}",
        f"{run.relay_lost} of {run.messages}",
        run.values.get("messages_lost", "?"),
        f"{run.share:.2f}",
        f"{100 * run.locked(fans):.1f} %",
        f"{run.error:.0e}",
        f"{p50:.1f}",
        f"{p99:.1f}",
        run.values.get("wait_in_queue_p99_ms", "?"),
        f"{1e3 * run.behind_s:.0f}",
        f"{run.driver_cpu_s / run.played_s:.2f}",
        f"{run.detector_cpu:.2f}",
        f"{run.detector_cpu / free:.1f}",
        f"{run.detector_cpu / paced:.1f}",
        f"{run.values.get('regions_searched', '?')}/{run.values.get('gaps', '?')}",
    ]


COLUMNS = (
    *("fans", "rate", "Mev/s", "relay lost", "lost", "share taken", "locked", "error"),
    *("p50 ms", "p99 ms", "queue p99 ms", "driver late ms", "driver CPU", "detector CPU"),
    *("x analyze", "x paced"),
    "searches/gaps",
)


def main() -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--rates", type=float, nargs="*", default=[1.0, 2.0, 4.0, 8.0], help="of one fan")
    add("--two-rates", type=float, nargs="*", default=[4.0], help="of two fans")
    add("--seconds", type=float, default=2.0, help="of each replay, by the clock")
    add("--no-relay", action="store_true", help="leave out the plain node")
    add("--folder", help="where the recordings are kept; by default they are removed")
    options = parser.parse_args()
    use_dds_profile(os.environ)
    # Separate from other nodes on this network.
    os.environ.setdefault("ROS_DOMAIN_ID", str(random.randint(1, 100)))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    table = Table(title=f"The graph, windows of {WINDOW_US // 1000} ms every {STEP_US // 1000} ms")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    console = Console(width=None if sys.stdout.isatty() else 170)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        for fans, rates in ((1, options.rates), (2, options.two_rates)):
            if not rates:
                continue
            seconds = options.seconds * max(rates)
            path = folder / f"graph_{fans}_{seconds:g}.dat"
            if not path.exists():
                compose(fans, seconds, path)
            with open_recording(str(path)) as source:
                mev_s = path.stat().st_size / DAT_BYTES / (source.end_us - source.start_us)
            length_us = min(ANALYSED_US, round(1e6 * seconds))
            analyze = analyze_cpu(path, length_us, False), analyze_cpu(path, length_us, True)
            console.print(
                f"evio analyze takes {analyze[0]:.2f} s per second of {fans} fans, "
                f"{analyze[1]:.2f} s in real time"
            )
            for rate in rates:
                run = Run(rate, 0, round(1e6 * options.seconds * rate))
                if not options.no_relay:
                    run_relay(path, run)
                run_graph(path, run)
                table.add_row(*row_of(run, fans, mev_s, analyze))
    console.print(table)
    console.print(f"load: {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
