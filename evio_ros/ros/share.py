"""Finding the files that come with the package, and using the DDS profile among them."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

from evio_ros.errors import EvioError

__all__ = ["share_file", "use_dds_profile"]

PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


def share_file(name: str) -> Path:
    """A file of the package's share folder, e.g. "config/evio.yaml".

    Raises:
        EvioError: where there is no such file.
    """
    prefixes = [
        *filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)),
        sys.prefix,
    ]
    folders = [Path(__file__).resolve().parents[2]]
    folders += [Path(prefix) / "share" / "evio_ros" for prefix in prefixes]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise EvioError(f"{name} is not installed; run `make setup`, or colcon build and source it")


def use_dds_profile(environment: MutableMapping[str, str]) -> None:
    """Name the shipped Fast DDS profile in an environment, unless it names one already."""
    if not any(environment.get(name) for name in PROFILE_VARIABLES):
        for name in PROFILE_VARIABLES:
            environment[name] = str(share_file("config/fastdds_profile.xml"))
