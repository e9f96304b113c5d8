"""Factors between units of speed: rpm, rad/s and turns."""

from __future__ import annotations

import math

__all__ = ["RAD_S_PER_RPM", "RPM_PER_RAD_S", "TURN_RAD"]

TURN_RAD = 2.0 * math.pi
"""One turn in rad."""
RAD_S_PER_RPM = TURN_RAD / 60.0
RPM_PER_RAD_S = 60.0 / TURN_RAD
