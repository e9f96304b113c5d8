"""The simulator's kernels: light, photoreceptor and comparator of every pixel.

The event model is that of ESIM (Rebecq et al., CoRL 2018) and v2e (Hu et al., CVPRW 2021): the
logarithm of the light passes a first-order low-pass filter; an event is triggered when it has
changed by a threshold since the last one; then the pixel is blind for the refractory period, after
which its reference is the present light. The scene is sampled adaptively: often while an edge is
near a pixel, seldom otherwise. Between two samples the light is constant, so the low-pass filter
and the time at which it crosses a threshold are exact.
"""

from __future__ import annotations

import math

from numba import njit, prange

__all__ = ["TEXTURE_SIDE", "advance_pixels", "initial_light", "see"]

_STEP_PX = 0.15
"""Largest motion of a blade's edge or a disc's texture between two samples."""
_TEXTURE_STEP_PX = 0.3
"""The same for a moving texture, whose grains are several pixels wide."""
_LONGEST_STEP_S = 4e-3
"""Longest time between two samples of a pixel without a rotor."""
_LONGEST_ROTOR_STEP_S = 1e-3
"""The same with a rotor that may cover the pixel: a row of the tables of shapes."""
_SHORTEST_STEP_S = 5e-7
"""Shortest time between two samples: half the resolution of time stamps."""
_REFERENCE_RADIUS = 0.7
"""Radius at which a swept blade's angle is that of the truth."""
_FACETS = 5
"""Number of facets of a shiny hub: each shines when it faces the light."""
_HIGHLIGHT = 4.0
"""Concentration (von Mises) of the highlight, in the angle around the hub and for a facet."""
TEXTURE_SIDE = 512
"""Side of the periodic texture; a power of 2, as coordinates are wrapped by a mask."""


@njit(cache=True, nogil=True)
def _motion(knots, time_s):
    """Turns since time 0, and turns/s, from `SpeedProfile.knots`."""
    segment = 0
    while segment + 1 < len(knots) and knots[segment + 1, 0] <= time_s:
        segment += 1
    elapsed = time_s - knots[segment, 0]
    frequency, rate = knots[segment, 2], knots[segment, 3]
    turns = knots[segment, 1] + (frequency + 0.5 * rate * elapsed) * elapsed
    return turns, frequency + rate * elapsed


@njit(cache=True, nogil=True)
def _lookup(table, column, position):
    """Linear interpolation of a column in a table with a row per millisecond."""
    row = min(int(position), len(table) - 2)
    share = position - row
    return table[row, column] * (1 - share) + table[row + 1, column] * share


@njit(cache=True, nogil=True)
def _texture(noise, u, v):
    """Bilinear interpolation of smooth periodic noise of unit variance."""
    i, j = math.floor(u), math.floor(v)
    a, b = u - i, v - j
    i0, j0 = int(i) & (TEXTURE_SIDE - 1), int(j) & (TEXTURE_SIDE - 1)
    i1, j1 = (i0 + 1) & (TEXTURE_SIDE - 1), (j0 + 1) & (TEXTURE_SIDE - 1)
    low = noise[j0, i0] * (1 - a) + noise[j0, i1] * a
    return low * (1 - b) + (noise[j1, i0] * (1 - a) + noise[j1, i1] * a) * b


@njit(cache=True, nogil=True)
def _wrapped(angle):
    return angle - 2 * math.pi * math.floor(angle / (2 * math.pi) + 0.5)


@njit(cache=True, nogil=True)
def _see_rotor(x, y, light, numbers, blades, shapes, knots, time_s, noise):
    """Light at a pixel behind a rotor, and the time in s for which it can be taken as constant."""
    position = max(time_s * 1e3, 0.0)
    cx, cy = _lookup(shapes, 0, position), _lookup(shapes, 1, position)
    a, b = _lookup(shapes, 2, position), _lookup(shapes, 3, position)
    tilt = _lookup(shapes, 4, position)
    cosine, sine = math.cos(tilt), math.sin(tilt)
    dx, dy = x - cx, y - cy
    along, across = (dx * cosine + dy * sine) / a, (dy * cosine - dx * sine) / b
    radius = math.hypot(along, across)
    if radius > 1.0:
        return light, _LONGEST_ROTOR_STEP_S
    phase, half_angle, half_width, sweep, disc_light, hub, texture, grain, edge, glint = numbers
    if disc_light >= 0.0:
        light = disc_light
    if radius <= hub and glint <= 0.0:
        return 0.5 * light, _LONGEST_ROTOR_STEP_S
    turns, frequency = _motion(knots, time_s)
    angle = math.atan2(across, along) + tilt - phase - 2 * math.pi * turns
    speed = 2 * math.pi * abs(frequency) + 1e-9
    # Motion of an edge, which is radial, perpendicular to itself, per radian of rotation.
    radius_px = max(a * b * radius**2 / math.hypot(a * along, b * across), 0.3)
    fine = _STEP_PX / (speed * radius_px)
    if radius <= hub:
        lit = math.exp(_HIGHLIGHT * (math.cos(math.atan2(across, along)) - 1))
        facet = math.exp(_HIGHLIGHT * (math.cos(_FACETS * angle) - 1))
        return 0.5 * light * (1 + glint * lit * facet), fine
    wait = _LONGEST_ROTOR_STEP_S
    if texture > 0.0:
        u = radius * math.cos(angle) * a / grain
        v = radius * math.sin(angle) * a / grain
        light *= math.exp(texture * _texture(noise, u, v))
        wait = fine
    # A blade's edge is soft over the width of a pixel, or more if out of focus.
    soft = 0.5 * edge / radius_px
    for index in range(len(blades)):
        middle, width, blade_light = blades[index]
        if width <= 0.0:
            continue
        half = (half_angle + half_width / radius) * width
        offset = _wrapped(angle - middle - sweep * (radius - _REFERENCE_RADIUS))
        cover = min(max((half - abs(offset)) / (2 * soft) + 0.5, 0.0), 1.0)
        light += cover * (blade_light - light)
        # Angle that the rotor has to turn until the next edge reaches the pixel.
        ahead = offset if frequency >= 0 else -offset
        distance = 2 * math.pi + ahead - half - soft
        if abs(abs(offset) - half) < soft:
            wait = min(wait, fine)
        if ahead > half + soft:
            distance = ahead - half - soft
        elif ahead > -half + soft:
            distance = ahead + half - soft
        wait = min(wait, max(distance / speed, fine))
    return light, wait


@njit(cache=True, nogil=True)
def _see_texture(x, y, light, numbers, shifts, time_s, noise):
    """Light reflected by a moving texture, and the time in s for which it is nearly constant."""
    x0, y0, x1, y1, contrast, grain, body_a, body_b = numbers
    if not (x0 <= x < x1 and y0 <= y < y1):
        return light, _LONGEST_STEP_S
    position = max(time_s * 1e3, 0.0)
    dx, dy = x - _lookup(shifts, 0, position), y - _lookup(shifts, 1, position)
    speed = math.hypot(
        _lookup(shifts, 0, position + 1) - _lookup(shifts, 0, position),
        _lookup(shifts, 1, position + 1) - _lookup(shifts, 1, position),
    )
    wait = min(_LONGEST_STEP_S, _TEXTURE_STEP_PX / (1e3 * speed + 1e-9))
    if body_a > 0.0:
        out = math.hypot((dx - 0.5 * (x0 + x1)) / body_a, (dy - 0.5 * (y0 + y1)) / body_b)
        if out > 1.0:
            return light, wait
        light *= 0.5
    return light * math.exp(contrast * _texture(noise, dx / grain, dy / grain)), wait


@njit(cache=True, nogil=True)
def see(x, y, scene, visible, time_s, noise):
    """Log light at a pixel, and the time in s for which it can be taken as constant.

    Args:
        x, y: the pixel.
        scene: see `evio_ros.simulation.simulator._tables`.
        visible: two int16 (most,), indices of rotors and of textures, padded with -1.
        time_s: time since the start of the recording.
        noise: float32 (512, 512), see `simulator._smooth_noise`.
    """
    background, rotors, blades, shapes, knots, textures, shifts, lamps, mains = scene
    light, wait = background, _LONGEST_STEP_S
    visible_rotors, visible_textures = visible
    for index in visible_textures:
        if index < 0:
            break
        light, until = _see_texture(x, y, light, textures[index], shifts[index], time_s, noise)
        wait = min(wait, until)
    for index in range(len(lamps)):
        lamp_x, lamp_y, radius, frequency, modulation = lamps[index]
        if math.hypot(x - lamp_x, y - lamp_y) <= radius:
            light *= 1 + modulation * math.sin(2 * math.pi * frequency * time_s)
            wait = min(wait, 1 / (256 * frequency))
    for index in visible_rotors:
        if index < 0:
            break
        light, until = _see_rotor(
            x,
            y,
            light,
            rotors[index],
            blades[index],
            shapes[index],
            knots[index],
            time_s,
            noise,
        )
        wait = min(wait, until)
    mains_hz, depth = mains[0], mains[1]
    if depth > 0.0:
        light *= 1 + depth * math.sin(2 * math.pi * mains_hz * time_s)
        wait = min(wait, 1 / (64 * mains_hz))
    return math.log(max(light, 1e-4)), max(wait, _SHORTEST_STEP_S)


@njit(cache=True, nogil=True)
def _respond(pixel, light, time_s, end_s, sensor, state, thresholds, times, signs, count):
    """Simulate one pixel in constant light until end_s; return the number of its events so far."""
    time_constant_s, refractory_s = sensor
    while True:
        level, reference, blind_until_s = state[0, pixel], state[1, pixel], state[2, pixel]
        if blind_until_s > time_s:
            stop = min(blind_until_s, end_s)
            level = light + (level - light) * math.exp((time_s - stop) / time_constant_s)
            state[0, pixel] = level
            if blind_until_s > end_s:
                return count
            # The pixel is reset: the reference is the present light.
            state[1, pixel] = reference = level
            time_s = stop
        rising = light > level
        goal = reference + thresholds[0, pixel] if rising else reference - thresholds[1, pixel]
        crosses = light > goal if rising else light < goal
        crossing_s = time_s
        if crosses and ((level < goal) if rising else (level > goal)):
            crossing_s = time_s + time_constant_s * math.log((level - light) / (goal - light))
        if not crosses or crossing_s >= end_s:
            state[0, pixel] = light + (level - light) * math.exp((time_s - end_s) / time_constant_s)
            return count
        state[0, pixel] = light + (level - light) * math.exp(
            (time_s - crossing_s) / time_constant_s
        )
        state[1, pixel] = goal
        state[2, pixel] = crossing_s + refractory_s
        if count < len(times):
            times[count] = crossing_s
            signs[count] = rising
        count += 1
        time_s = crossing_s


@njit(cache=True, nogil=True, parallel=True)
def advance_pixels(
    x, y, scene, visible, sensor, noise, state, thresholds, start_s, end_s, times, signs, counts
):
    """Simulate pixels from start_s to end_s.

    Args:
        x, y: float64 (n,), pixels.
        scene: see `evio_ros.simulation.simulator._tables`.
        visible: two int16 (n, most), indices of the rotors and of the textures that may cover each
            pixel, padded with -1.
        sensor: time constant of the low-pass filter and refractory period in s.
        noise: float32 (512, 512), see `simulator._smooth_noise`.
        state: float64 (3, n), updated in place: filtered log light, reference, end of the
            refractory period in s.
        thresholds: float64 (2, n), ON and OFF.
        start_s, end_s: interval; intervals must be consecutive.
        times: float64 (n, most), filled with the events' times in s.
        signs: bool (n, most), filled with their polarities.
        counts: int64 (n,), filled with the numbers of events; above `most` if they did not fit.
    """
    for pixel in prange(len(x)):
        time_s, count = start_s, 0
        while time_s < end_s:
            light, wait = see(
                x[pixel], y[pixel], scene, (visible[0][pixel], visible[1][pixel]), time_s, noise
            )
            until_s = min(time_s + wait, end_s)
            count = _respond(
                pixel,
                light,
                time_s,
                until_s,
                sensor,
                state,
                thresholds,
                times[pixel],
                signs[pixel],
                count,
            )
            time_s = until_s
        counts[pixel] = count


@njit(cache=True, nogil=True, parallel=True)
def initial_light(x, y, scene, visible, noise, light):
    """Fill `light`, float64 (n,), with the log light of pixels at time 0."""
    for pixel in prange(len(x)):
        light[pixel], _ = see(
            x[pixel], y[pixel], scene, (visible[0][pixel], visible[1][pixel]), 0.0, noise
        )
