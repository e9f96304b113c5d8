from __future__ import annotations

import os
from pathlib import Path

import pytest
from node_recording import DURATION_US, ROTOR
from rotor_events import DISC, SIZE, events_of

# Before rclpy is imported: separates these tests from other nodes on the network.
os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

pytest.importorskip("rclpy", reason="node tests need ROS 2: run `make test`, or source ROS 2 first")

from evio_ros.ros.share import use_dds_profile
from evio_ros.simulation.scene import Path as DiscPath
from evio_ros.simulation.speed import SpeedProfile
from evio_ros.simulation.truth import RotorTruth, Truth, truth_path
from evio_ros.sources.writers.dat import DatWriter

use_dds_profile(os.environ)


@pytest.fixture(scope="session")
def recording(tmp_path_factory) -> Path:
    """An ideal rotor in a DAT file, with its truth beside it."""
    path = tmp_path_factory.mktemp("recording") / "rotor.dat"
    with DatWriter(path, SIZE) as writer:
        writer.append(events_of([ROTOR], DURATION_US, noise_hz=2e4))
    truth = RotorTruth(
        0,
        ROTOR.blades,
        ROTOR.phase_rad,
        SpeedProfile.constant(60 * ROTOR.frequency_hz),
        DiscPath.fixed(DISC),
    )
    Truth("ideal rotor", DURATION_US, (truth,)).write(truth_path(path))
    return path


@pytest.fixture(scope="session")
def noise_recording(tmp_path_factory) -> Path:
    """Noise events only."""
    path = tmp_path_factory.mktemp("recording") / "noise.dat"
    with DatWriter(path, SIZE) as writer:
        writer.append(events_of([], DURATION_US, noise_hz=2e5))
    return path
