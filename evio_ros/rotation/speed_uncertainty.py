"""What the phase filter's own variance does not tell of the error of a mean speed.

The filter takes the errors of slices for independent. Some last: those of a disc that moves, of the
place of a template that is still being learned, of the sensor's latency. Each is taken as a slow
error of the phase, of a size and a time in which it changes; over a window W the phases at its ends
differ by it, and the speed by that over W. The sizes are fitted to simulated scenes; see
bench/accuracy.py for how honest the result is.
"""

from __future__ import annotations

import math

__all__ = ["speed_variance"]

CALM_SHARE = 0.6
RESTLESS_SHARE = 1.4
"""Standard deviation over the filter's: a motor that holds its speed is calmer than the calmest
filter assumes, one that does not changes before the filter follows."""
LATENCY_S = 5e-5
"""How late events may be; a window of events is a window of earlier motion."""
SHIFT_RAD_S = 2.5e-4
SHEAR_RAD_S = 4.5e-3
MOTION_TIME_S = 0.12
"""Error of the phase for each radius that a disc moves, and each unit of shear, in a second."""
LEARNING_RAD = 2e-4
LEARNING_TIME_S = 0.5
"""Error of the phase from what is being learned, beside that from the disc's uncertain place."""
MARK_RAD = 1.2e-3
"""Error of the phase once or twice a turn where there is but one blade, from the disc's shape."""


def speed_variance(
    filtered: float,
    is_calm: bool,
    window_s: float,
    speed: float,
    speed_change: float,
    disc_motion: tuple[float, float],
    disc_variance: float,
    blades: int,
) -> float:
    """Variance of the mean speed over a window, (rad/s)^2.

    Args:
        filtered: the phase filter's.
        is_calm: whether the calmest filter speaks.
        window_s: length of the window.
        speed: mean speed.
        speed_change: change of the speed over the window.
        disc_motion: motion of the disc in radii, and change of its shear, a second.
        disc_variance: variance of a phase that comes from the disc's uncertain place and shape.
        blades: number of blades; 1 for a single mark.
    """
    share = CALM_SHARE if is_calm else RESTLESS_SHARE
    total = share**2 * filtered + (LATENCY_S * speed_change / window_s) ** 2
    moved = (SHIFT_RAD_S * disc_motion[0]) ** 2 + (SHEAR_RAD_S * disc_motion[1]) ** 2
    total += _of_slow_error(moved, MOTION_TIME_S, window_s)
    total += _of_slow_error(LEARNING_RAD**2 + disc_variance, LEARNING_TIME_S, window_s)
    if blades == 1 and speed:
        total += _of_slow_error(MARK_RAD**2, 0.5 / abs(speed), window_s)
    return total


def _of_slow_error(phase_variance: float, time_s: float, window_s: float) -> float:
    """Variance of a speed from a phase error with a bell-shaped correlation in time."""
    apart = -math.expm1(-0.5 * (window_s / time_s) ** 2)
    return 2 * phase_variance * apart / window_s**2
