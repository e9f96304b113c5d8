"""The text of docs/nodes.md: topics, services, quality of service, diagnostics, failures.

Topics, types and qualities are asked of running nodes, the sentences come from
`evio_ros.nodes.descriptions`.
"""

from __future__ import annotations

import gc
import inspect
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from unittest.mock import patch

import rclpy
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile

from evio_ros.nodes import rvt_detector
from evio_ros.nodes.descriptions import (
    EVERYWHERE,
    FAILURES,
    LEVELS,
    SERVICES,
    TOPICS,
    VALUES,
)
from evio_ros.ros.base_node import EvioNode

__all__ = ["reference_text"]

_HEADER = """\
# Nodes

Every node: topics, services, quality of service, diagnostics, and what it does when something goes
wrong. Parameters stand in [parameters](parameters.md). Made by `make configuration` from the
running nodes and the code.

"""
_LIFE = """\
## All nodes

All are lifecycle nodes. By default (`autostart`) a node configures and activates itself; with
`autostart` false a manager does, or

    ros2 lifecycle set /driver configure
    ros2 lifecycle set /driver activate

"configure" makes topics and services, opens the source and compiles; "activate" begins to take and
send; "deactivate" stops and keeps what was made; "cleanup" releases it. The quality of service of
every topic can be overridden, by the topic's full name:

    ros2 run evio_ros fusion --ros-args -p qos_overrides./rotation_states.publisher.depth:=10

(`history`, `depth`, `reliability`). A line of statistics is logged every `statistics_period_s`.
"""
_RECORDING = "# width=8 height=8\nt,x,y,p\n0,1,1,1\n100000,2,2,0\n"
_MATRIX = "{data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}"
_CALIBRATION = f"""\
image_width: 8
image_height: 8
camera_matrix: {_MATRIX}
rectification_matrix: {_MATRIX}
distortion_coefficients: {{data: []}}
projection_matrix: {{data: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]}}
"""
_OF_ROS = re.compile(
    r"/(rosout|parameter_events|diagnostics)$|/(get|set|list|describe|change)_\w+$"
)
_NOT_EVERYWHERE = {
    ("driver", "/tf_static"): "| out | tf2_msgs/TFMessage | reliable, kept, depth 1 ",
    ("dashboard", "events"): "| in | evio_ros/EventArray | best effort, depth 50 ",
    ("dashboard", "representation/image"): "| in | sensor_msgs/Image | best effort, depth 50 ",
    ("rvt_detector", "events"): "| in | evio_ros/EventArray | reliable, depth 100 ",
    ("rvt_detector", "events/receipts"): "| out | evio_ros/EventReceipt | reliable, kept, depth 1 ",
    (
        "rvt_detector",
        "representation/stacked_histogram",
    ): "| in | evio_ros/EventTensor | reliable, depth 1 ",
}
"""Topics of packages that not every installation has, and those that nobody looks at, as rows show
them."""


def reference_text(nodes: dict[str, type[EvioNode]]) -> str:
    """The text of docs/nodes.md.

    Args:
        nodes: name to class.

    Raises:
        KeyError: where a topic, a service or a value of the diagnostics has no sentence.
    """
    parts = [_HEADER, _LIFE, *_diagnostics(), *_failures(EVERYWHERE)]
    # Whether PyTorch and a model are there must not change the text.
    without = patch.object(rvt_detector, "missing_packages", lambda: ["torch"])
    with without, tempfile.TemporaryDirectory() as folder:
        rclpy.init(args=_arguments(Path(folder)))
        try:
            for name, kind in nodes.items():
                parts += _node(name, kind)
        finally:
            rclpy.try_shutdown()
    return "".join(parts)


def _arguments(folder: Path) -> list[str]:
    """Arguments with which every topic exists."""
    recording, calibration = folder / "recording.csv", folder / "camera.yaml"
    recording.write_text(_RECORDING, encoding="utf-8")
    calibration.write_text(_CALIBRATION, encoding="utf-8")
    values = {
        "autostart": "false",
        "driver:source": f"'{recording}'",
        "driver:packets": "true",
        "driver:outputs.publish_clock": "true",
        "driver:outputs.camera_info_file": f"'{calibration}'",
        "state_recorder:output": f"'{folder / 'states.csv'}'",
        "dashboard:web.port": "0",
        "dashboard:history.file": "none",
        "representation:image.camera_info_file": f"'{calibration}'",
    }
    return ["--ros-args", *(word for item in values.items() for word in ("-p", ":=".join(item)))]


def _node(name: str, kind: type[EvioNode]) -> Iterator[str]:
    node = kind()
    try:
        node.trigger_configure()
        node.trigger_activate()
        assert node.is_active, f"{name} cannot be activated"
        yield f"\n## {name}\n\n{inspect.getdoc(kind)}\n\n"
        yield "| topic | | type | quality of service | what it is |\n|---|---|---|---|---|\n"
        yield from sorted(_topics(name, node))
        services = sorted(_services(name, node))
        if services:
            yield "\n| service | type | what it does |\n|---|---|---|\n"
            yield from services
        reported = node.report().values
        _refuse_untold(reported)
        values = [f"`{key}`" for key in reported]
        told = ", ".join(values or ["as the table above tells them"])
        yield f"\nDiagnostics: `/{name}: {node.TASK}`; values {told}, and those of all nodes.\n"
        yield from _failures(FAILURES[name])
    finally:
        node.close()
        node.destroy_node()
        # A node's callbacks refer to it: until the cycle is gone, others still see the node.
        del node
        gc.collect()


def _refuse_untold(values: Iterable[str]) -> None:
    """Raise KeyError for a value that no entry of `VALUES` tells."""
    known = [re.compile(re.sub("<[^>]+>", ".+", name)) for name in VALUES]
    for value in values:
        if not any(name.fullmatch(value) for name in known):
            raise KeyError(value)


def _topics(name: str, node: EvioNode) -> Iterator[str]:
    sentences = dict(TOPICS[name])
    for direction, entities in (("in", node.subscriptions), ("out", node.publishers)):
        for entity in entities:
            topic = _relative(entity.topic_name, node, sentences)
            is_listed = direction == "in" and topic in sentences
            if _OF_ROS.search(entity.topic_name) and not is_listed:
                continue
            quality = _quality(entity.qos_profile)
            kind = _type_name(entity.msg_type)
            yield f"| `{topic}` | {direction} | {kind} | {quality} | {sentences[topic]} |\n"
    for (owner, topic), row in _NOT_EVERYWHERE.items():
        if owner == name:
            yield f"| `{topic}` {row}| {sentences[topic]} |\n"


def _services(name: str, node: EvioNode) -> Iterator[str]:
    for service in node.services:
        topic = _relative(service.srv_name, node, SERVICES[name])
        if not _OF_ROS.search("/" + service.srv_name.rpartition("/")[2]):
            yield f"| `{topic}` | {_type_name(service.srv_type)} | {SERVICES[name][topic]} |\n"


def _relative(topic: str, node: EvioNode, known: dict[str, str]) -> str:
    """A name as the node's code has it."""
    own = node.get_fully_qualified_name() + "/"
    spellings = (topic, topic.removeprefix("/"), topic.replace(own, "~/"))
    return next((one for one in spellings if one in known), topic)


def _type_name(kind: type) -> str:
    return f"{kind.__module__.partition('.')[0]}/{kind.__name__}"


def _quality(quality: QoSProfile) -> str:
    words = [quality.reliability.name.lower().replace("_", " ")]
    if quality.durability == DurabilityPolicy.TRANSIENT_LOCAL:
        words.append("kept")
    if quality.history == HistoryPolicy.KEEP_LAST:
        words.append(f"depth {quality.depth}")
    return ", ".join(words)


def _diagnostics() -> Iterator[str]:
    yield "\nEvery node reports once a second on `/diagnostics`, as `/name: task`, with the\n"
    yield "recording or camera as hardware_id where it has one.\n\n| level | |\n|---|---|\n"
    yield from (f"| {level} | {meaning} |\n" for level, meaning in LEVELS.items())
    yield "\n| value | |\n|---|---|\n"
    yield from (f"| `{value}` | {meaning} |\n" for value, meaning in VALUES.items())


def _failures(table: dict[str, str]) -> Iterator[str]:
    yield "\n| what goes wrong | what happens |\n|---|---|\n"
    yield from (f"| {what} | {happens} |\n" for what, happens in table.items())
