"""Viewers' configurations, containers and the policy name what the nodes have."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
NODES = (ROOT / "docs" / "nodes.md").read_text(encoding="utf-8")


def published() -> dict[str, str]:
    """Full names of the topics that the nodes publish, and their types."""
    found = {}
    for section in NODES.split("\n## ")[1:]:
        node = section.split("\n", 1)[0]
        for name, kind in re.findall(r"^\| `([^`]+)` \| out \| (\S+) \|", section, re.MULTILINE):
            found["/" + name.replace("~", node).lstrip("/")] = kind
    return {**found, "/diagnostics": "diagnostic_msgs/DiagnosticArray"}


def test_foxglove_shows_topics_and_fields_that_exist():
    layout = json.loads((ROOT / "config" / "viewers" / "foxglove.json").read_text())
    text = json.dumps(layout["configById"])
    topics = set(re.findall(r'"(/[a-z_/]+)[".]', text))
    assert {"/rotation_state", "/rotor_markers", "/diagnostics"} <= topics <= set(published())
    fields = set(re.findall(r"\.([a-z_]+)\"", text)) | set(re.findall(r"\{(\w+)==", text))
    message = (ROOT / "msg" / "RotationState.msg").read_text()
    assert fields
    assert all(re.search(rf"^\S+ {name}\b", message, re.MULTILINE) for name in fields)


def test_foxglove_places_every_panel_that_it_configures():
    layout = json.loads((ROOT / "config" / "viewers" / "foxglove.json").read_text())

    def panels(tree) -> list[str]:
        return [tree] if isinstance(tree, str) else panels(tree["first"]) + panels(tree["second"])

    assert sorted(panels(layout["layout"])) == sorted(layout["configById"])


def test_rviz_shows_topics_that_exist_in_the_frame_of_the_camera():
    view = yaml.safe_load((ROOT / "config" / "viewers" / "evio.rviz").read_text())
    manager = view["Visualization Manager"]
    kinds = {}
    for display in manager["Displays"]:
        if "Topic" in display:
            kinds[display["Topic"]["Value"]] = display["Class"].rpartition("/")[2]
    assert set(kinds.values()) == {"Image", "MarkerArray"}
    for topic, kind in kinds.items():
        assert published()[topic].rpartition("/")[2] == kind
    driver = yaml.safe_load((ROOT / "config" / "evio.yaml").read_text())["/**/driver"]
    frame = driver["ros__parameters"]["frame_id"]
    assert manager["Global Options"]["Fixed Frame"] == frame


def test_the_policy_lets_a_viewer_take_results_and_not_send_them():
    policy = ElementTree.parse(ROOT / "config" / "security" / "policy.xml").getroot()
    (viewer,) = policy.findall(".//enclave[@path='/evio/viewer']")
    rights = {
        right: {topic.text for topics in viewer.findall(f".//topics[@{right}]") for topic in topics}
        for right in ("publish", "subscribe")
    }
    assert rights["publish"] == {"/parameter_events", "/rosout"}
    assert {"rotation_state", "rotation_states", "representation/image"} <= rights["subscribe"]
    assert "events" not in rights["subscribe"]
    assert not viewer.findall(".//services")


@pytest.mark.parametrize("name", ["driver", "rotation_detector", "fusion", "representation"])
def test_the_policy_lets_a_node_send_what_it_publishes(name):
    policy = ElementTree.parse(ROOT / "config" / "security" / "policy.xml").getroot()
    section = NODES.split(f"\n## {name}\n")[1].split("\n## ")[0]
    for way, right in (("out", "publish"), ("in", "subscribe")):
        names = set(re.findall(rf"^\| `([^`]+)` \| {way} \|", section, re.MULTILINE))
        for enclave in (name, "all"):
            (node,) = policy.findall(f".//enclave[@path='/evio/{enclave}']//*[@node='{name}']")
            lists = node.findall(f"topics[@{right}]")
            allowed = {topic.text for topics in lists for topic in topics}
            assert names <= allowed


def test_compose_starts_executables_and_launch_files_that_exist():
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    services = compose["services"]
    assert {"driver", "processing", "rvt", "dashboard", "database"} <= set(services)
    commands = " ".join(str(service.get("command", "")) for service in services.values())
    for launched in re.findall(r"(\w+\.launch\.py)", commands):
        assert (ROOT / "launch" / launched).exists()
    for volume in (entry for service in services.values() for entry in service.get("volumes", [])):
        name = volume.partition(":")[0]
        assert name in compose["volumes"] or name.startswith(("$", "."))
