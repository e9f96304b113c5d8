"""`evio devices` with cameras, without any, and without USB."""

from __future__ import annotations

import pytest

from evio_ros.errors import SourceError
from evio_ros.sources.cameras import camera_device
from evio_ros.sources.cameras.camera_device import ListedCamera

pytest.importorskip("neuromorphic_drivers")


def test_cameras_are_listed_with_the_uri_that_opens_them(evio, monkeypatch):
    found = [ListedCamera("evk4", "Prophesee EVK4", "00ab", "USB 3.0", "no permission")]
    monkeypatch.setattr(camera_device, "list_cameras", lambda: found)
    code, out, _ = evio("devices")
    assert code == 0
    for text in ("camera:evk4?serial=00ab", "Prophesee EVK4", "diff_on", "no permission", "udev"):
        assert text in out


def test_no_camera_is_no_error(evio, monkeypatch):
    monkeypatch.setattr(camera_device, "list_cameras", list)
    code, out, _ = evio("devices")
    assert code == 0
    assert out.startswith("no camera is connected; supported are davis346")


def test_a_machine_without_usb_is_told_in_one_line(evio, monkeypatch):
    def none():
        raise SourceError("camera", "the USB bus cannot be searched: Other error")

    monkeypatch.setattr(camera_device, "list_cameras", none)
    code, out, err = evio("devices")
    assert (code, out) == (2, "")
    assert err == "evio: camera: the USB bus cannot be searched: Other error\n"
