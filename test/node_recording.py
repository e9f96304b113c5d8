"""Contents of the node tests' recording."""

from __future__ import annotations

from rotor_events import IdealRotor

ROTOR = IdealRotor(19.1667, event_rate_hz=3e5)
DURATION_US = 600_000
