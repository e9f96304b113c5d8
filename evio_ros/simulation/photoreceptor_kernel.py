"""A realistic pixel: slow and noisy in the dark, with mismatch between pixels.

The logarithm of the light passes the photoreceptor, whose bandwidth grows with the light
(Lichtsteiner et al., JSSC 2008; Hu et al., CVPRW 2021, "v2e"; Graca et al., CVPRW 2023), and then
the source follower, whose bandwidth is fixed. Shot noise of the photoreceptor's bandwidth is added
to its output. It causes pairs of ON and OFF events, mostly in the dark (Graca and Delbruck, IISW
2021). An event is delayed by the comparator; only then is the pixel reset, and blind for the
refractory period. An edge therefore gives fewer events than the thresholds that it crosses, and
intervals between them are never shorter than delay and refractory period together (Joubert et al.,
Frontiers in Neuroscience 2021). Leak lowers the comparator's reference, which causes ON events
(Nozaki and Delbruck, TED 2017).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from evio_ros.simulation.pixel_kernel import see

__all__ = ["advance_photoreceptors"]

_SHORTEST_STEP_S = 5e-5
_LONGEST_STEP_S = 0.01
_STEP_LOG = 0.05
"""Largest change of log light in a step longer than the shortest: within it the change is taken as
linear."""
_NOISE_STEP = 0.1
"""Longest step of a noisy pixel, in time constants of its photoreceptor."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)
_LOW_BITS = np.uint64(0xFFFF)
_SUM_STD = 65536.0 * math.sqrt(4 / 12)


@njit(cache=True, nogil=True)
def _normal(seeds, pixel):
    """Sum of four uniform numbers, scaled to unit variance, by SplitMix64 (Steele et al., 2014).

    Sums of these over a time constant, which reach the comparator, are nearly normal.
    """
    seeds[pixel] += _GOLDEN
    bits = seeds[pixel]
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX_A
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX_B
    bits = bits ^ (bits >> np.uint64(31))
    total = 0.0
    for shift in (0, 16, 32, 48):
        total += float((bits >> np.uint64(shift)) & _LOW_BITS)
    return (total - 2 * 65535.0) / _SUM_STD


@njit(cache=True, nogil=True)
def _compare(pixel, start_s, end_s, before, after, state, own, lags_s, times, signs, count):
    """Write the events of a comparator whose input changes linearly; return their number so far."""
    slope = (after - before) / (end_s - start_s)
    while start_s < end_s:
        blind_until_s = state[4, pixel]
        if blind_until_s > start_s:
            if blind_until_s > end_s:
                return count
            # The pixel is reset: the reference is the present input.
            before += slope * (blind_until_s - start_s)
            start_s = blind_until_s
            state[3, pixel] = before
        rise = after - state[3, pixel]
        is_on = rise >= own[0, pixel]
        if not is_on and -rise < own[1, pixel]:
            return count
        goal = state[3, pixel] + (own[0, pixel] if is_on else -own[1, pixel])
        crossing_s = start_s
        if (goal > before) == is_on and slope != 0.0:
            crossing_s = min(start_s + (goal - before) / slope, end_s)
        event_s = crossing_s + (lags_s[0] if is_on else lags_s[1])
        if count < len(times):
            times[count] = event_s
            signs[count] = is_on
        count += 1
        state[3, pixel] = goal
        state[4, pixel] = event_s + own[2, pixel]
        before += slope * (crossing_s - start_s)
        start_s = crossing_s
    return count


@njit(cache=True, nogil=True)
def _respond(
    pixel, log_light, time_s, end_s, sensor, lags_s, state, own, seeds, times, signs, count
):
    """Simulate one pixel in constant light until end_s; return the number of its events so far."""
    dark_light, growth, buffer_s, shot_noise, noise_growth = sensor
    log_light = math.log(math.exp(log_light) + dark_light)
    rate = own[3, pixel] * math.exp(growth * log_light)
    noise = shot_noise * math.exp(-noise_growth * log_light)
    longest_s = _NOISE_STEP / rate if noise > 0.0 else _LONGEST_STEP_S
    while time_s < end_s:
        reached, deviation, level = state[0, pixel], state[1, pixel], state[2, pixel]
        before = reached + deviation
        speed = rate * abs(log_light - reached)
        if buffer_s > 0.0:
            speed = max(speed, abs(before - level) / buffer_s)
        wait_s = min(_STEP_LOG / (speed + 1e-9), longest_s)
        until_s = min(time_s + max(wait_s, _SHORTEST_STEP_S), end_s)
        step_s = until_s - time_s
        kept = math.exp(-rate * step_s)
        reached = log_light + (reached - log_light) * kept
        if noise > 0.0:
            fresh = noise * math.sqrt(1 - kept * kept)
            deviation = deviation * kept + fresh * _normal(seeds, pixel)
        after = reached + deviation
        if buffer_s > 0.0:
            middle = 0.5 * (before + after)
            after = middle + (level - middle) * math.exp(-step_s / buffer_s)
        state[0, pixel], state[1, pixel], state[2, pixel] = reached, deviation, after
        state[3, pixel] -= own[4, pixel] * step_s
        count = _compare(
            pixel, time_s, until_s, level, after, state, own, lags_s, times, signs, count
        )
        time_s = until_s
    return count


@njit(cache=True, nogil=True, parallel=True)
def advance_photoreceptors(
    x,
    y,
    scene,
    visible,
    sensor,
    lags_s,
    texture,
    state,
    own,
    seeds,
    start_s,
    end_s,
    times,
    signs,
    counts,
):
    """Simulate pixels from start_s to end_s.

    Args:
        x, y: float64 (n,), pixels.
        scene: see `evio_ros.simulation.simulator._tables`.
        visible: two int16 (n, most), indices of the rotors and of the textures that may cover each
            pixel, padded with -1.
        sensor: light in addition to the scene's; power of light to which the photoreceptor's
            bandwidth is proportional; time constant of the source follower in s, 0 for none;
            standard deviation of log light by shot noise at light 1; power of light by which it
            falls.
        lags_s: float64 (2,), delay of ON and OFF events after the crossing.
        texture: float32 (512, 512), see `simulator._smooth_noise`.
        state: float64 (5, n), updated in place: output of the photoreceptor as log light, its
            noise, the comparator's input and reference, end of the refractory period in s.
        own: float64 (5, n), for each pixel: ON and OFF threshold, refractory period in s, bandwidth
            at light 1 in rad/s, fall of the reference by leak per second.
        seeds: uint64 (n,), updated in place: state of each pixel's random generator.
        start_s, end_s: interval; intervals must be consecutive.
        times: float64 (n, most), filled with the events' times in s.
        signs: bool (n, most), filled with their polarities.
        counts: int64 (n,), filled with the numbers of events; above `most` if they did not fit.
    """
    for pixel in prange(len(x)):
        time_s, count = start_s, 0
        while time_s < end_s:
            log_light, wait_s = see(
                x[pixel], y[pixel], scene, (visible[0][pixel], visible[1][pixel]), time_s, texture
            )
            until_s = min(time_s + wait_s, end_s)
            count = _respond(
                pixel,
                log_light,
                time_s,
                until_s,
                sensor,
                lags_s,
                state,
                own,
                seeds,
                times[pixel],
                signs[pixel],
                count,
            )
            time_s = until_s
        counts[pixel] = count
