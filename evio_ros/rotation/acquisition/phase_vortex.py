"""The phase vortex: how well the phases of many points wind about a hub, and the best hub.

With p_i the phasor (amplitude and phase at one spectral line) of a point at the angle a_i about a
hub, on the disc as it is after undoing its flattening, the power that winds m times is

    P_m(hub, flattening) = |sum_i p_i exp(i m a_i)|^2,

summed over the two polarities, and the coherence is P_m / (sum_i |p_i|)^2: 1 if all phases wind
together. It is an angular Fourier coefficient of the phasors, and its maximum is the most likely
hub and flattening if their errors are equal. The method is this project's own; `winding` explains
why rotors show in it.

The maximum is found by the simplex method of Nelder and Mead (Computer Journal 1965) with scipy's
rules and stopping criteria. scipy's implementation gives the same digits, but takes 1.1 ms for a
hub (17 ms at most) instead of 0.07 ms, because it calls the loss some 90 times from Python: a
drone's 47 hubs in 0.7 s of events would cost 87 ms instead of 4 ms, and a hub more than one work
unit.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["best_starts", "disc_angle", "refined_hub", "winding_power"]

_ITERATIONS = 250
"""Maximum number of steps of the simplex; about 50 are usual."""
_PLACE_TOLERANCE = 1e-3
_COHERENCE_TOLERANCE = 1e-5
"""The simplex has converged when its vertices differ by less: in position as a share of the
region's size and in flattening; and in coherence."""
_FIRST_STEP = 0.1
"""Initial size of the simplex in the same units: less than half the distance between two starts."""


@njit(cache=True, nogil=True)
def disc_angle(points, center_x, center_y, shear_0, shear_1):
    """Angles about a hub after undoing the flattening exp([[s0, s1], [s1, -s0]]) of the disc.

    Args:
        points: float64 (n, 2), x and y.
        center_x, center_y: the hub.
        shear_0, shear_1: the flattening.

    Returns:
        float64 (n,), radians.
    """
    turn = _turns(points, center_x, center_y, shear_0, shear_1)
    return np.arctan2(turn[1], turn[0])


@njit(cache=True, nogil=True)
def winding_power(phasors, points, center, shear, highest):
    """Power that winds about a hub, for every number of windings.

    Args:
        phasors: float64 (4, n), real and imaginary part of OFF, then of ON, at each point.
        points: float64 (n, 2), x and y.
        center, shear: (2,) hub and flattening; see `disc_angle`.
        highest: greatest number of windings, either sense.

    Returns:
        float64 (2 * highest + 1,) for -highest to highest windings.
    """
    turn = _turns(points, center[0], center[1], shear[0], shear[1])
    power = np.zeros(2 * highest + 1)
    real, imaginary = np.ones(len(points)), np.zeros(len(points))
    for order in range(highest + 1):
        if order > 0:
            _multiply(real, imaginary, turn)
        power[highest + order], power[highest - order] = _both_senses(phasors, real, imaginary)
    return power


@njit(cache=True, nogil=True)
def best_starts(phasors, points, centroid, shifts, shears, highest):
    """Try hubs on a grid and keep the best of each number of windings.

    Args:
        phasors, points, highest: see `winding_power`.
        centroid: (2,) centroid of the points.
        shifts: float64 (m, 2), hubs minus the centroid.
        shears: float64 (k, 2), flattenings.

    Returns:
        Power (2 * highest + 1,) of -highest to highest windings, and for each the indices of its
        shift and of its shear.
    """
    power = np.full(2 * highest + 1, -1.0)
    best_shift = np.zeros(2 * highest + 1, np.int64)
    best_shear = np.zeros(2 * highest + 1, np.int64)
    for j in range(len(shears)):
        for i in range(len(shifts)):
            tried = winding_power(phasors, points, centroid + shifts[i], shears[j], highest)
            for order in range(len(power)):
                if tried[order] > power[order]:
                    power[order], best_shift[order], best_shear[order] = tried[order], i, j
    return power, best_shift, best_shear


@njit(cache=True, nogil=True)
def refined_hub(phasors, points, scale, centroid, reach, order, shift, shear):
    """Hub and flattening about which phasors wind best, by Nelder and Mead's simplex (1965).

    Args:
        phasors, points: see `winding_power`.
        scale: power if all phasors wound together.
        centroid: (2,) centroid of the points.
        reach: size of the region in pixels; the hub is kept within this distance of the centroid.
        order: number of windings, signed.
        shift, shear: (2,) start: the hub minus the centroid, and the flattening.

    Returns:
        Coherence (share of the power that winds; below 0 far outside), center (2,), shear (2,).
    """
    simplex = np.empty((5, 4))
    loss = np.empty(5)
    for vertex in range(5):
        simplex[vertex, :2] = shift / reach
        simplex[vertex, 2:] = shear
        if vertex:
            simplex[vertex, vertex - 1] += _FIRST_STEP
        loss[vertex] = _loss(simplex[vertex], phasors, points, scale, centroid, reach, order)
    _sort(simplex, loss)
    for _ in range(_ITERATIONS - 1):
        if (
            np.abs(simplex[1:] - simplex[0]).max() <= _PLACE_TOLERANCE
            and np.abs(loss[1:] - loss[0]).max() <= _COHERENCE_TOLERANCE
        ):
            break
        _improve(simplex, loss, phasors, points, scale, centroid, reach, order)
        _sort(simplex, loss)
    return -loss[0], centroid + reach * simplex[0, :2], simplex[0, 2:].copy()


@njit(cache=True, nogil=True)
def _improve(simplex, loss, phasors, points, scale, centroid, reach, order):
    """One step of the simplex: its worst vertex is reflected, or all shrink towards the best."""
    middle = (simplex[0] + simplex[1] + simplex[2] + simplex[3]) / 4
    worst = simplex[4].copy()
    reflected = 2 * middle - worst
    at_reflected = _loss(reflected, phasors, points, scale, centroid, reach, order)
    if at_reflected < loss[0]:
        tried = 3 * middle - 2 * worst
    elif at_reflected < loss[3]:
        simplex[4], loss[4] = reflected, at_reflected
        return
    elif at_reflected < loss[4]:
        tried = 1.5 * middle - 0.5 * worst
    else:
        tried = 0.5 * middle + 0.5 * worst
    at_tried = _loss(tried, phasors, points, scale, centroid, reach, order)
    if at_reflected < loss[0]:
        if at_tried < at_reflected:
            simplex[4], loss[4] = tried, at_tried
        else:
            simplex[4], loss[4] = reflected, at_reflected
        return
    if (at_reflected < loss[4] and at_tried <= at_reflected) or (
        at_reflected >= loss[4] and at_tried < loss[4]
    ):
        simplex[4], loss[4] = tried, at_tried
        return
    for vertex in range(1, 5):
        simplex[vertex] = simplex[0] + 0.5 * (simplex[vertex] - simplex[0])
        loss[vertex] = _loss(simplex[vertex], phasors, points, scale, centroid, reach, order)


@njit(cache=True, nogil=True)
def _sort(simplex, loss):
    """Order vertices by their loss, in place."""
    for i in range(1, len(loss)):
        j = i
        while j > 0 and loss[j] < loss[j - 1]:
            loss[j], loss[j - 1] = loss[j - 1], loss[j]
            for k in range(4):
                simplex[j, k], simplex[j - 1, k] = simplex[j - 1, k], simplex[j, k]
            j -= 1


@njit(cache=True, nogil=True)
def _loss(place, phasors, points, scale, centroid, reach, order):
    """Negative coherence; far outside its region any phase pattern winds about a hub."""
    outside = max(math.hypot(place[0], place[1]) - 1.0, 0.0)
    turn = _turns(
        points,
        centroid[0] + reach * place[0],
        centroid[1] + reach * place[1],
        place[2],
        place[3],
    )
    real, imaginary = turn[0].copy(), turn[1].copy()
    for _ in range(abs(order) - 1):
        _multiply(real, imaginary, turn)
    ahead, back = _both_senses(phasors, real, imaginary)
    return outside - (ahead if order > 0 else back) / scale


@njit(cache=True, nogil=True, error_model="numpy")
def _turns(points, center_x, center_y, shear_0, shear_1):
    """Cosine and sine, (2, n), of the points' angles on the disc."""
    strength = math.hypot(shear_0, shear_1)
    stretch = math.cosh(strength)
    ratio = math.sinh(strength) / strength if strength > 1e-9 else 1.0
    turn = np.empty((2, len(points)))
    for i in range(len(points)):
        x, y = points[i, 0] - center_x, points[i, 1] - center_y
        u = stretch * x - ratio * (shear_0 * x + shear_1 * y)
        v = stretch * y - ratio * (shear_1 * x - shear_0 * y)
        # A point at the hub itself has no angle and does not count.
        length = math.sqrt(u * u + v * v) + 1e-300
        turn[0, i] = u / length
        turn[1, i] = v / length
    return turn


@njit(cache=True, nogil=True)
def _multiply(real, imaginary, turn):
    """Complex numbers times others, in place."""
    for i in range(len(real)):
        a, b = real[i], imaginary[i]
        real[i] = a * turn[0, i] - b * turn[1, i]
        imaginary[i] = a * turn[1, i] + b * turn[0, i]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _both_senses(phasors, real, imaginary):
    """Power of phasors turned by unit numbers, and turned back by them."""
    # Sums of products: real * real, imaginary * imaginary, real * imaginary, imaginary * real.
    off_rr, off_ii, off_ri, off_ir = 0.0, 0.0, 0.0, 0.0
    on_rr, on_ii, on_ri, on_ir = 0.0, 0.0, 0.0, 0.0
    for i in range(len(real)):
        off_rr += phasors[0, i] * real[i]
        off_ii += phasors[1, i] * imaginary[i]
        off_ri += phasors[0, i] * imaginary[i]
        off_ir += phasors[1, i] * real[i]
        on_rr += phasors[2, i] * real[i]
        on_ii += phasors[3, i] * imaginary[i]
        on_ri += phasors[2, i] * imaginary[i]
        on_ir += phasors[3, i] * real[i]
    ahead = (off_rr - off_ii) ** 2 + (off_ri + off_ir) ** 2
    ahead += (on_rr - on_ii) ** 2 + (on_ri + on_ir) ** 2
    back = (off_rr + off_ii) ** 2 + (off_ir - off_ri) ** 2
    back += (on_rr + on_ii) ** 2 + (on_ir - on_ri) ** 2
    return ahead, back
