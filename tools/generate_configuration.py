"""Write config/evio.yaml, the security policy and docs/{parameters,nodes,launch}.md from the code.

Run it after a change of a declaration (`make configuration`); a test compares the files.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from node_reference import reference_text
from security_policy import policy_text

from evio_ros.nodes.dashboard import Dashboard
from evio_ros.nodes.driver import Driver
from evio_ros.nodes.fusion import Fusion
from evio_ros.nodes.representation import RepresentationNode
from evio_ros.nodes.rotation_detector import RotationDetectorNode
from evio_ros.nodes.rvt_detector import RvtDetectorNode
from evio_ros.nodes.state_recorder import StateRecorder
from evio_ros.parameters import ParameterDescription
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.launch_arguments import LAUNCH_FILES

__all__ = ["FILES", "NODES"]

ROOT = Path(__file__).resolve().parent.parent
NODES: dict[str, type[EvioNode]] = {
    "driver": Driver,
    "rotation_detector": RotationDetectorNode,
    "rvt_detector": RvtDetectorNode,
    "fusion": Fusion,
    "representation": RepresentationNode,
    "state_recorder": StateRecorder,
    "dashboard": Dashboard,
}
YAML_HEADER = """\
# Parameters of the nodes, all with their default values. Copy this file, keep what you change, and
# name the copy: ros2 launch evio_ros full.launch.py config:=my.yaml
# A name that no node knows, and a value out of range, is an error. Floats need a point: 50.0.
"""
TABLE_HEADER = """\
# Parameters

Every parameter of every node. `config/evio.yaml` holds the same values, to copy and change. Those
marked "at start" are read once; all others can be changed while the node runs:

    ros2 param set /driver replay.rate 0.5

A value out of range is refused, and nothing is changed. Made by `make configuration` from the
declarations in the code.
"""
LAUNCH_HEADER = """\
# Launch files

    ros2 launch evio_ros full.launch.py source:=fan.raw rate:=0.5

An argument that is left empty leaves what the parameters file says; one that the launch file has
not is refused. Made by `make configuration` from the declarations in the code.

Names follow those of Nav2 where it has the same: `namespace`, `params_file`, `use_sim_time` and
`log_level` mean what they mean there; `composed` and `respawn` are its `use_composition` and
`use_respawn`.

What happens when a node ends:

- **The driver at the end of its recording** ends the launch, with exit status 0.
- **A mistake that a user can mend** (a file that is not there, a parameter out of range) is said in
  one line and ends the launch with exit status 1: the node would only say it again.
- **A crash**: the node is started again, unless `respawn:=false`; one that crashes five times in
  a minute is given up, with exit status 1. States are back 2 to 3 s after the crash, where the
  machine has the two seconds of processor time that a detector takes to start.

Ctrl-C and SIGTERM end a node with exit code 0, at whatever moment. Nodes also end, in order, when
their launch does: `ros2 launch` itself leaves its nodes running when it gets SIGTERM or is killed.

The replay begins when all nodes of the launch that take events are ready. Others that have
subscribed, e.g. `ros2 bag record`, are connected but not counted. A node that comes later says how
many messages it has missed, and counts them as `messages_missed` in its diagnostics.

With `composed:=true` the nodes share one process, each with a thread of its own. Events go from the
driver to the others as they are, and over DDS to whoever else has subscribed; all topics, services
and parameters are those of the nodes apart.
"""


def yaml_text() -> str:
    """The text of config/evio.yaml."""
    parts = [YAML_HEADER]
    for name, node in NODES.items():
        parts.append(f"\n/**/{name}:\n  ros__parameters:\n")
        for prefix, kind in node.parameter_groups():
            indent = "    "
            if prefix:
                parts.append(f"{indent}{prefix}:\n")
                indent += "  "
            for description in kind.describe():
                parts.append(f"{indent}# {_sentence(description)}\n")
                parts.append(f"{indent}{description.name}: {_yaml_value(description.default)}\n")
    return "".join(parts)


def table_text() -> str:
    """The text of docs/parameters.md."""
    parts = [TABLE_HEADER]
    for name, node in NODES.items():
        parts.append(f"\n## {name}\n\n")
        parts.append("| parameter | default | range | what it is |\n|---|---|---|---|\n")
        parts += _rows(node)
    return "".join(parts)


def launch_text() -> str:
    """The text of docs/launch.md."""
    parts = [LAUNCH_HEADER]
    for name, (purpose, arguments) in LAUNCH_FILES.items():
        parts.append(f"\n## {name}.launch.py\n\n{purpose}\n\n")
        parts.append("| argument | default | what it is |\n|---|---|---|\n")
        parts += [
            f"| `{argument}` | {default} | {text} |\n"
            for argument, (default, text) in arguments.items()
        ]
    return "".join(parts)


@functools.cache
def nodes_text() -> str:
    """The text of docs/nodes.md."""
    return reference_text(NODES)


def _rows(node: type[EvioNode]) -> Iterator[str]:
    for prefix, kind in node.parameter_groups():
        for description in kind.describe():
            full = f"{prefix}.{description.name}" if prefix else description.name
            unit = f" {description.unit}" if description.unit else ""
            when = " (at start)" if description.read_only else ""
            yield (
                f"| `{full}` | {_yaml_value(description.default)}{unit} | {_range(description)} "
                f"| {description.doc}{when} |\n"
            )


def _sentence(description: ParameterDescription) -> str:
    bounds = _range(description)
    facts = ", ".join(filter(None, (description.unit, bounds)))
    return f"{description.doc} [{facts}]" if facts else description.doc


def _range(description: ParameterDescription) -> str:
    low, high = description.minimum, description.maximum
    if description.choices:
        return ", ".join(description.choices)
    if low is not None and high is not None:
        return f"{_number(low)} to {_number(high)}"
    if low is not None:
        return f"from {_number(low)}"
    return f"up to {_number(high)}" if high is not None else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _yaml_value(value: bool | int | float | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # Never 2e-05: not every reader of YAML takes that for a number.
        return np.format_float_positional(value, trim="0")
    return f'"{value}"' if isinstance(value, str) else repr(value)


FILES = {
    "config/evio.yaml": yaml_text,
    "docs/parameters.md": table_text,
    "docs/nodes.md": nodes_text,
    "docs/launch.md": launch_text,
    "config/security/policy.xml": lambda: policy_text(nodes_text()),
}


def main() -> None:
    """Write the files."""
    for name, text in FILES.items():
        (ROOT / name).write_text(text(), encoding="utf-8")
        print(name)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
