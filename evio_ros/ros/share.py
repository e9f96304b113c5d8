"""Finding the files that come with the package, and using its DDS profile."""

from __future__ import annotations

import sys
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from pathlib import Path

from ament_index_python.packages import get_package_share_path

from evio_ros.errors import EvioError

__all__ = ["share_file", "use_dds_profile"]

_PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


def share_file(name: str) -> Path:
    """A file of the package's share folder, e.g. "config/evio.yaml", or of the checkout.

    Raises:
        EvioError: if there is no such file.
    """
    for folder in _share_folders():
        if (folder / name).is_file():
            return folder / name
    raise EvioError(f"{name} is not installed; run `make setup`, or colcon build and source it")


def _share_folders() -> Iterator[Path]:
    yield Path(__file__).resolve().parents[2]
    # ament knows neither the package nor any prefix where no environment is sourced.
    with suppress(LookupError, OSError):
        yield get_package_share_path("evio_ros")
    yield Path(sys.prefix) / "share" / "evio_ros"


def use_dds_profile(environment: MutableMapping[str, str]) -> None:
    """Set the package's Fast DDS profile in an environment, unless it has one already."""
    if not any(environment.get(name) for name in _PROFILE_VARIABLES):
        for name in _PROFILE_VARIABLES:
            environment[name] = str(share_file("config/fastdds_profile.xml"))
