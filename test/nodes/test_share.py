"""The package's files are found in a checkout, by the ament index, and in an unsourced venv."""

from __future__ import annotations

import sys

import pytest

from evio_ros.errors import EvioError
from evio_ros.ros import share
from evio_ros.ros.share import share_file, use_dds_profile


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The module far from a checkout, and a prefix that holds the package."""
    monkeypatch.setattr(share, "__file__", str(tmp_path / "lib" / "evio_ros" / "ros" / "share.py"))
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "empty"))
    prefix = tmp_path / "prefix"
    for name in ("share/ament_index/resource_index/packages/evio_ros", "share/evio_ros/a.yaml"):
        path = prefix / name
        path.parent.mkdir(parents=True)
        path.touch()
    return prefix


def test_a_checkout_has_its_own_files(monkeypatch):
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    assert share_file("config/evio.yaml").read_text().startswith("#")


def test_a_sourced_prefix_is_found(installed, monkeypatch):
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{installed}")
    assert share_file("a.yaml") == installed / "share" / "evio_ros" / "a.yaml"


def test_a_venv_that_is_not_sourced_is_found(installed, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(installed))
    assert share_file("a.yaml") == installed / "share" / "evio_ros" / "a.yaml"


@pytest.mark.parametrize("prefixes", ["", "/nowhere"])
def test_what_is_not_there_is_named(installed, monkeypatch, prefixes):
    monkeypatch.setenv("AMENT_PREFIX_PATH", prefixes)
    with pytest.raises(EvioError, match=r"a\.yaml is not installed; run `make setup`"):
        share_file("a.yaml")


def test_a_dds_profile_that_is_named_stays():
    given = {"FASTRTPS_DEFAULT_PROFILES_FILE": "mine.xml"}
    use_dds_profile(given)
    assert given == {"FASTRTPS_DEFAULT_PROFILES_FILE": "mine.xml"}
    empty: dict[str, str] = {}
    use_dds_profile(empty)
    assert {path.rpartition("/")[2] for path in empty.values()} == {"fastdds_profile.xml"}
