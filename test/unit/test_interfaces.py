"""Messages: the wire format of others' packages, and what our own say of their fields."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OUR_INTERFACES = sorted([*(ROOT / "msg").glob("*.msg"), *(ROOT / "srv").glob("*.srv")])

# Type hashes of vision_msgs 4 and event_camera_msgs; nodes with other ones do not connect.
TYPE_HASHES = {
    "vision_msgs/msg/BoundingBox2D": (
        "RIHS01_008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f"
    ),
    "vision_msgs/msg/ObjectHypothesis": (
        "RIHS01_51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90"
    ),
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "RIHS01_41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc"
    ),
    "vision_msgs/msg/Detection2D": (
        "RIHS01_0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea"
    ),
    "vision_msgs/msg/Detection2DArray": (
        "RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968"
    ),
    "event_camera_msgs/msg/EventPacket": (
        "RIHS01_d6fa176260b1f37e5a40845305315e150a0f18191241eb64f407442aa29844aa"
    ),
}


def type_hash(type_name: str) -> str:
    """The hash of a message as it was built on this machine."""
    package, _, message = type_name.split("/")
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    for prefix in filter(None, prefixes):
        share = Path(prefix) / "share" / package
        if not share.is_dir():
            continue
        description = share / "msg" / f"{message}.json"
        if not description.exists() and Path(prefix) != Path(sys.prefix):
            pytest.skip(f"the machine's own {package} in {prefix} does not tell its type hashes")
        hashes = json.loads(description.read_text())["type_hashes"]
        return next(each["hash_string"] for each in hashes if each["type_name"] == type_name)
    pytest.fail(f"{package} is in none of {prefixes}; run `make setup`")


@pytest.mark.parametrize("type_name", TYPE_HASHES)
def test_messages_of_others_have_their_wire_format(type_name):
    assert type_hash(type_name) == TYPE_HASHES[type_name]


def fields(path: Path) -> list[tuple[str, str, str]]:
    """Type, name and comment of every field; comments of lines that follow are part of it."""
    found: list[tuple[str, str, str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        declaration, _, comment = map(str.strip, line.partition("#"))
        if declaration in ("", "---") or "=" in declaration:
            if found and not declaration and comment:
                kind, name, before = found[-1]
                found[-1] = (kind, name, f"{before} {comment}")
            continue
        kind, name = declaration.split()
        found.append((kind, name, comment))
    return found


@pytest.mark.parametrize("path", OUR_INTERFACES, ids=lambda path: path.name)
def test_every_field_says_what_it_means(path):
    assert path.read_text(encoding="utf-8").startswith("# "), "no description"
    assert fields(path)
    for _, name, comment in fields(path):
        assert len(comment) > 5, f"{name} has no comment"


@pytest.mark.parametrize("path", OUR_INTERFACES, ids=lambda path: path.name)
def test_every_quantity_has_its_unit(path):
    for kind, name, comment in fields(path):
        if kind == "float64":
            assert re.search(r"\[\S+\]|0 to 1", comment), f"{name}: {comment}"
        if kind == "std_msgs/Header":
            assert "stamp: ROS time of" in comment


def test_events_travel_as_columns():
    kinds = {name: kind for kind, name, _ in fields(ROOT / "msg" / "EventArray.msg")}
    columns = {"t": "uint32[]", "x": "uint16[]", "y": "uint16[]", "polarity": "uint8[]"}
    assert columns.items() <= kinds.items()
