"""The text of config/security/policy.xml: each node's permissions for topics and services.

Topics and services are read from the reference that `node_reference` generates from the running
nodes. The format is that of ROS 2 access control policies, version 0.2.0, as read by `ros2
security`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["policy_text"]

_HEADER = """\
<?xml version="1.0" encoding="UTF-8"?>
<!--
  Access control of SROS 2, made by `make configuration` from the running nodes. An enclave for each
  node, one for all nodes in one process (/evio/all) and one for viewers, who may look but not
  send. docs/deployment.md says how keys are made from it. For a namespace, replace ns="/".
-->
"""
_TOPIC = re.compile(r"^\| `([^`]+)` \| (in|out) \|", re.MULTILINE)
_SERVICE = re.compile(r"^\| `(~[^`]+)` \| [^|]+\| ", re.MULTILINE)
_EVERY_TOPIC_OUT = ("/diagnostics", "/parameter_events", "/rosout", "~/transition_event")
_EVERY_TOPIC_IN = ("/clock", "/parameter_events")
_EVERY_SERVICE = (
    "~/change_state",
    "~/describe_parameters",
    "~/get_available_states",
    "~/get_available_transitions",
    "~/get_parameter_types",
    "~/get_parameters",
    "~/get_state",
    "~/get_transition_graph",
    "~/get_type_description",
    "~/list_parameters",
    "~/set_parameters",
    "~/set_parameters_atomically",
)
_CONTROLS = "dashboard"
"""The node that calls services of the others."""
_VIEWED = re.compile(r"rotation_state|rotor_markers|representation/|camera_info|image_motion")
"""Topics to which a viewer may subscribe: results and pictures, but not events."""


@dataclass
class _Rights:
    """Permissions of a node: topics published and subscribed, services offered and called."""

    sent: set[str] = field(default_factory=lambda: set(_EVERY_TOPIC_OUT))
    taken: set[str] = field(default_factory=lambda: set(_EVERY_TOPIC_IN))
    offered: set[str] = field(default_factory=lambda: set(_EVERY_SERVICE))
    asked: set[str] = field(default_factory=set)


def policy_text(reference: str) -> str:
    """The policy for the nodes of a reference.

    Args:
        reference: the text of docs/nodes.md.
    """
    nodes = dict(_nodes(reference))
    for name in nodes.keys() & {_CONTROLS}:
        others = {other: rights for other, rights in nodes.items() if other != name}
        nodes[name].asked = {
            service.replace("~", f"/{other}")
            for other, rights in others.items()
            for service in rights.offered
            if not service.endswith(("_state", "_states", "_transitions", "_graph"))
        }
    enclaves = [_enclave(name, {name: rights}) for name, rights in nodes.items()]
    enclaves += [_enclave("all", nodes), _enclave("viewer", {"*": _viewer(nodes)})]
    inner = "".join(enclaves)
    return f'{_HEADER}<policy version="0.2.0">\n  <enclaves>\n{inner}  </enclaves>\n</policy>\n'


def _nodes(reference: str) -> Iterator[tuple[str, _Rights]]:
    for section in re.split(r"^## ", reference, flags=re.MULTILINE)[1:]:
        rights = _Rights()
        topics = _TOPIC.findall(section)
        for name, way in topics:
            (rights.taken if way == "in" else rights.sent).add(name)
        rights.offered.update(_SERVICE.findall(section.partition("Diagnostics:")[0]))
        rights.offered -= {name for name, _ in topics}
        if topics:
            yield section.split("\n", 1)[0].strip(), rights


def _viewer(nodes: Mapping[str, _Rights]) -> _Rights:
    """Permissions of a viewer: subscribes to results, publishes only what every node publishes."""
    rights = _Rights(offered=set())
    rights.sent = {"/parameter_events", "/rosout"}
    rights.taken |= {"/diagnostics", "/rosout", "/tf", "/tf_static"}
    for node, theirs in nodes.items():
        shown = {name for name in theirs.sent if _VIEWED.search(name)}
        rights.taken |= {name.replace("~", node) for name in shown}
    return rights


def _enclave(name: str, nodes: Mapping[str, _Rights]) -> str:
    profiles = "".join(_profile(node, rights) for node, rights in nodes.items())
    return (
        f'    <enclave path="/evio/{name}">\n      <profiles>\n{profiles}'
        "      </profiles>\n    </enclave>\n"
    )


def _profile(node: str, rights: _Rights) -> str:
    lists = [
        _list("topic", "publish", rights.sent),
        _list("topic", "subscribe", rights.taken),
        _list("service", "reply", rights.offered),
        _list("service", "request", rights.asked),
    ]
    return f'        <profile ns="/" node="{node}">\n{"".join(lists)}        </profile>\n'


def _list(kind: str, right: str, names: set[str]) -> str:
    if not names:
        return ""
    lines = "".join(f"            <{kind}>{name}</{kind}>\n" for name in sorted(names))
    return f'          <{kind}s {right}="ALLOW">\n{lines}          </{kind}s>\n'
