from __future__ import annotations

import math

from evio_ros.units import RAD_S_PER_RPM, RPM_PER_RAD_S, TURN_RAD


def test_sixty_turns_a_minute_are_one_in_a_second():
    assert 60.0 * RAD_S_PER_RPM == TURN_RAD
    assert math.cos(TURN_RAD) == 1.0
    assert RPM_PER_RAD_S * TURN_RAD == 60.0
