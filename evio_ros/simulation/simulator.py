"""The event-camera simulator: batches of events from a scene and a camera."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from evio_ros.events import EventBatch, SensorSize
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.photoreceptor_kernel import advance_photoreceptors
from evio_ros.simulation.pixel_kernel import TEXTURE_SIDE, advance_pixels, initial_light
from evio_ros.simulation.readout_kernel import PENDING, read_out
from evio_ros.simulation.scene import BladePattern, Rotor, Scene

__all__ = ["simulate"]

_SLICE_US = 10_000
"""Length of a simulated slice."""
_FIRST_CAPACITY = 16
"""Initial capacity for a pixel's events in a slice; grows when exceeded."""
_JITTER_LIMIT = 5.0
"""Number of standard deviations to which latency jitter is clipped."""
_STARTING = 0.5
"""Factor for the initial distance of noisy pixels from their reference, relative to a threshold."""
_Real = NDArray[np.float64]


@dataclass(slots=True)
class _Pixels:
    """The n pixels whose light can change; arrays are those of the kernels.

    Attributes:
        x, y: (n,) coordinates.
        visible: (n, most) indices of rotors and of textures.
        own: (2, n) thresholds of `advance_pixels`, or (5, n) `own` of `advance_photoreceptors`.
        state: (3, n) or (5, n).
        seeds: (n,) for `advance_photoreceptors`, else (0,).
        most: capacity for events of one pixel in a slice; grows when exceeded.
    """

    x: _Real
    y: _Real
    visible: tuple[NDArray[np.int16], NDArray[np.int16]]
    own: _Real
    state: _Real
    seeds: NDArray[np.uint64]
    most: int = _FIRST_CAPACITY


def simulate(scene: Scene, camera: SensorParameters, duration_us: int) -> Iterator[EventBatch]:
    """Simulate a recording, one batch for each 10 ms.

    Args:
        scene: the scene.
        camera: the sensor.
        duration_us: length of the recording in µs; events have 0 <= t < duration_us.

    Yields:
        Batches in order of time; they may be empty. The same arguments give the same events, and a
        longer recording begins with the events of a shorter one.
    """
    random = np.random.default_rng(camera.seed)
    noise = _smooth_noise(random)
    tables = _tables(scene, camera.seed, duration_us)
    pixels = _moving_pixels(scene, camera, random, duration_us)
    _settle(pixels, camera, tables, noise)
    hot = random.integers(0, camera.size.pixels, camera.hot_pixels)
    margin_us = _JITTER_LIMIT * camera.jitter_us
    readout = _Readout(camera)
    rates = _noise_rates(camera)
    waiting = np.empty((4, 0))
    for index in range(math.ceil((duration_us + margin_us) / _SLICE_US)):
        signal = _signal_events(pixels, tables, noise, camera, index)
        stray = _noise_events(camera, hot, rates, index)
        events = np.concatenate((waiting, signal, stray), axis=1)
        # Events within the margin can still be preceded by events of a later slice.
        ready = events[0] < (index + 1) * _SLICE_US - margin_us
        waiting = events[:, ~ready]
        sent = readout.send(events[:, ready], (index + 1) * _SLICE_US - margin_us)
        yield _batch(sent, camera.size, duration_us)


class _Readout:
    """Reads out events line by line if the camera does, see `read_out`; else leaves them as is."""

    def __init__(self, camera: SensorParameters) -> None:
        self._camera = camera
        self._requests = np.zeros(camera.size.pixels, np.bool_)
        self._free_us = -math.inf
        self._unread = np.empty((4, 0))

    def send(self, events: _Real, until_us: float) -> _Real:
        """Events (4, n), t [us], x, y, polarity, with time stamps of the readout.

        Args:
            events: float64 (4, n), new events; all before `until_us` have been given.
            until_us: time in µs up to which lines are read out.
        """
        line_us, event_us = self._camera.readout_line_us, self._camera.readout_event_us
        if not line_us:
            return events
        events = np.concatenate((self._unread, events), axis=1)
        events = events[:, np.argsort(events[0], kind="stable")]
        t_us, x, y = events[0].copy(), events[1].astype(np.int64), events[2].astype(np.int64)
        lines = y if self._camera.readout_line == "row" else x
        stamps = np.empty(len(t_us))
        self._free_us = read_out(
            t_us,
            lines,
            y * self._camera.width + x,
            line_us,
            event_us,
            self._free_us,
            until_us,
            self._requests,
            stamps,
        )
        self._unread = events[:, stamps == PENDING]
        events[0] = stamps
        return events[:, stamps >= 0]


def _settle(
    pixels: _Pixels, camera: SensorParameters, tables: tuple, noise: NDArray[np.float32]
) -> None:
    """Initialise pixels to the steady state in the scene at time 0."""
    light = np.empty(len(pixels.x))
    initial_light(pixels.x, pixels.y, tables, pixels.visible, noise, light)
    # The reference is anywhere between the thresholds, as in a running camera.
    start = pixels.state[1] * pixels.own[:2].min(axis=0)
    if not camera.has_photoreceptors:
        pixels.state[0], pixels.state[1] = light, light + start
        return
    reached = np.log(np.exp(light) + camera.dark_light)
    # Pixels near a threshold would already have fired by noise.
    pixels.state[:4] = reached, np.zeros(len(light)), reached, reached + _STARTING * start


def _smooth_noise(random: np.random.Generator) -> NDArray[np.float32]:
    """Periodic noise of unit variance with grains about two samples wide: float32 (512, 512)."""
    noise = gaussian_filter(random.normal(size=(TEXTURE_SIDE, TEXTURE_SIDE)), 0.8, mode="wrap")
    return (noise / noise.std()).astype(np.float32)


def _signal_events(
    pixels: _Pixels, tables: tuple, noise: NDArray[np.float32], camera: SensorParameters, index: int
) -> _Real:
    """Signal events of one slice with latency jitter: (4, n), t [us], x, y, polarity."""
    span = (1e-6 * _SLICE_US * index, 1e-6 * _SLICE_US * (index + 1))
    count = len(pixels.x)
    before, seeds_before = pixels.state.copy(), pixels.seeds.copy()
    where = (pixels.x, pixels.y, tables, pixels.visible)
    while True:
        times, signs = np.empty((count, pixels.most)), np.empty((count, pixels.most), np.bool_)
        counts = np.zeros(count, np.int64)
        made = (*span, times, signs, counts)
        if camera.has_photoreceptors:
            numbers = _photoreceptor_numbers(camera)
            own = (pixels.own, pixels.seeds)
            advance_photoreceptors(*where, *numbers, noise, pixels.state, *own, *made)
        else:
            sensor = (1 / (2 * math.pi * camera.cutoff_hz), 1e-6 * camera.refractory_us)
            advance_pixels(*where, sensor, noise, pixels.state, pixels.own, *made)
        if counts.max(initial=0) <= pixels.most:
            break
        pixels.most = int(counts.max())
        pixels.state[:], pixels.seeds[:] = before, seeds_before
    filled = np.arange(pixels.most) < counts[:, None]
    pixel = np.repeat(np.arange(count), counts)
    random = np.random.default_rng((camera.seed, 1, index))
    jitter = np.clip(random.normal(size=len(pixel)), -_JITTER_LIMIT, _JITTER_LIMIT)
    t_us = 1e6 * times[filled] + camera.jitter_us * jitter
    return np.stack((t_us, pixels.x[pixel], pixels.y[pixel], signs[filled]))


def _photoreceptor_numbers(
    camera: SensorParameters,
) -> tuple[tuple[float, float, float, float, float], NDArray[np.float64]]:
    """`sensor` and `lags_s` of `advance_photoreceptors`."""
    sensor = (
        camera.dark_light,
        camera.cutoff_growth,
        1 / (2 * math.pi * camera.buffer_hz) if camera.buffer_hz else 0.0,
        camera.shot_noise,
        camera.shot_noise_growth,
    )
    return sensor, 1e-6 * np.array((camera.on_lag_us, camera.off_lag_us))


def _noise_rates(camera: SensorParameters) -> _Real | None:
    """Cumulative share of each pixel in the noise, log-normal: (pixels,); None if uniform."""
    if not camera.noise_spread:
        return None
    random = np.random.default_rng((camera.seed, 5))
    rates = np.cumsum(np.exp(camera.noise_spread * random.normal(size=camera.size.pixels)))
    return rates / rates[-1]


def _noise_events(
    camera: SensorParameters, hot: NDArray[np.int64], rates: _Real | None, index: int
) -> _Real:
    """Noise events of one slice, hot pixels included: (4, n), t [us], x, y, polarity."""
    random = np.random.default_rng((camera.seed, 2, index))
    slice_s = 1e-6 * _SLICE_US
    scattered = random.poisson(camera.noise_hz * camera.size.pixels * slice_s)
    of_hot = random.poisson(camera.hot_pixel_hz * slice_s, len(hot))
    if rates is None:
        places = random.integers(0, camera.size.pixels, scattered)
    else:
        places = np.searchsorted(rates, random.random(scattered), side="right")
    pixel = np.concatenate((places, np.repeat(hot, of_hot)))
    t_us = _SLICE_US * (index + random.random(len(pixel)))
    y, x = np.divmod(pixel, camera.width)
    on = random.random(len(pixel)) < camera.noise_on_share
    return np.stack((t_us, x, y, on))


def _batch(events: _Real, size: SensorSize, duration_us: int) -> EventBatch:
    t = np.maximum(np.floor(events[0]), 0).astype(np.int64)
    order = np.argsort(t, kind="stable")
    order = order[t[order] < duration_us]
    return EventBatch.trusted(
        size,
        t[order],
        events[1, order].astype(np.uint16),
        events[2, order].astype(np.uint16),
        events[3, order] > 0.5,
    )


def _moving_pixels(
    scene: Scene, camera: SensorParameters, random: np.random.Generator, duration_us: int
) -> _Pixels:
    """Pixels whose light can change and that no static object hides."""
    touched = np.zeros((camera.height, camera.width), bool)
    y, x = np.mgrid[0 : camera.height, 0 : camera.width]
    rotors = [_swept(rotor, touched.shape, duration_us) for rotor in scene.rotors]
    textures = [_inside(texture.region, x, y) for texture in scene.textures]
    for mask in (*rotors, *textures):
        touched |= mask
    for lamp in scene.lamps:
        touched |= np.hypot(x - lamp.center[0], y - lamp.center[1]) <= lamp.radius_px
    if scene.flicker_depth or camera.shot_noise or camera.leak_hz:
        touched[:] = True
    for x0, y0, x1, y1 in scene.hidden:
        touched[y0:y1, x0:x1] = False
    # Drawn for all pixels, so that a longer recording, with more changing pixels, begins the same.
    spread = random.normal(1.0, camera.threshold_mismatch, (2, camera.height, camera.width))
    start = random.uniform(-1.0, 1.0, (camera.height, camera.width))
    thresholds = np.maximum(spread, 0.2)[:, touched]
    thresholds *= np.array((camera.threshold_on, camera.threshold_off))[:, None]
    state = np.zeros((3, thresholds.shape[1]))
    seeds = np.empty(0, np.uint64)
    if camera.has_photoreceptors:
        state = np.zeros((5, thresholds.shape[1]))
        thresholds, seeds = _photoreceptors(camera, thresholds, touched)
    # Position between the thresholds, from which `_settle` computes the reference.
    state[1] = start[touched]
    visible = (_listed(rotors, touched), _listed(textures, touched))
    x, y = x[touched].astype(np.float64), y[touched].astype(np.float64)
    return _Pixels(x, y, visible, thresholds, state, seeds)


def _photoreceptors(
    camera: SensorParameters, thresholds: _Real, touched: NDArray[np.bool_]
) -> tuple[_Real, NDArray[np.uint64]]:
    """`own` and `seeds` of `advance_photoreceptors` for the touched pixels."""
    random = np.random.default_rng((camera.seed, 4))
    spread = np.exp(camera.pixel_spread * random.normal(size=(2, *touched.shape)))[:, touched]
    seeds = random.integers(0, 2**64, touched.shape, np.uint64)[touched]
    odd = np.nonzero(touched)[1] % 2 == 1
    thresholds = thresholds * np.where(odd, camera.odd_threshold, 1.0)
    refractory_s = 1e-6 * camera.refractory_us * np.where(odd, camera.odd_refractory, 1.0)
    cutoff_rad_s = 2 * math.pi * camera.cutoff_hz * spread[0]
    leak = camera.leak_hz * thresholds[0] * spread[1]
    return np.stack((*thresholds, refractory_s, cutoff_rad_s, leak)), seeds


def _swept(rotor: Rotor, shape: tuple[int, ...], duration_us: int) -> NDArray[np.bool_]:
    """Pixels covered by a rotor's disc at any time: bool of `shape`."""
    touched = np.zeros(shape, bool)
    for disc in _shapes(rotor, duration_us)[::10]:
        _touch_disc(touched, disc)
    return touched


def _inside(region: tuple[int, int, int, int], x: NDArray, y: NDArray) -> NDArray[np.bool_]:
    x0, y0, x1, y1 = region
    inside: NDArray[np.bool_] = (x0 <= x) & (x < x1) & (y0 <= y) & (y < y1)
    return inside


def _listed(masks: list[NDArray[np.bool_]], touched: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Indices of the masks that contain each touched pixel, padded with -1: int16 (n, most)."""
    inside = np.zeros((int(touched.sum()), len(masks)), bool)
    for number, mask in enumerate(masks):
        inside[:, number] = mask[touched]
    listed = np.full((len(inside), max(int(inside.sum(axis=1).max(initial=0)), 1)), -1, np.int16)
    pixel, index = np.nonzero(inside)
    listed[pixel, (np.cumsum(inside, axis=1) - 1)[pixel, index]] = index
    return listed


def _touch_disc(touched: NDArray[np.bool_], shape: _Real) -> None:
    """Mark the pixels of a disc, given as a row of `Path.at`, with a margin of two pixels."""
    center_x, center_y, a, b, tilt = shape
    reach = a + 3
    x0, x1 = np.clip((int(center_x - reach), int(center_x + reach) + 2), 0, touched.shape[1])
    y0, y1 = np.clip((int(center_y - reach), int(center_y + reach) + 2), 0, touched.shape[0])
    y, x = np.mgrid[y0:y1, x0:x1]
    dx, dy = x - center_x, y - center_y
    along = (dx * math.cos(tilt) + dy * math.sin(tilt)) / (a + 2)
    across = (dy * math.cos(tilt) - dx * math.sin(tilt)) / (b + 2)
    touched[y0:y1, x0:x1] |= along**2 + across**2 <= 1.0


def _shapes(rotor: Rotor, duration_us: int) -> _Real:
    """The disc's image at every millisecond: (n, 5), see `_milliseconds`."""
    return rotor.path.at(np.arange(_milliseconds(duration_us)) * 1e3)


def _milliseconds(duration_us: int) -> int:
    """Rows of a table with a row per millisecond: the recording, two slices for events delayed by
    jitter, and two rows for interpolation.
    """
    return math.ceil(duration_us / 1000) + 2 * _SLICE_US // 1000 + 2


def _tables(scene: Scene, seed: int, duration_us: int) -> tuple:
    """The scene as arrays for the kernels.

    Returns:
        Background reflectance; rotors (n, 10) as of `_rotor_numbers`; blades (n, most, 3) as of
        `_blades`; shapes (n, milliseconds, 5) as of `Path.at`; speed knots (n, most, 4); textures
        (n, 8): region, contrast, grain, body; their shifts (n, milliseconds, 2); lamps (n, 5):
        centre, radius, frequency, modulation; frequency and depth of the flicker of all light.
    """
    milliseconds = _milliseconds(duration_us)
    most_blades = max([rotor.pattern.blades for rotor in scene.rotors], default=0)
    knots = [rotor.speed.knots() for rotor in scene.rotors]
    most_knots = max(map(len, knots), default=1)
    rotors = np.array([_rotor_numbers(rotor) for rotor in scene.rotors]).reshape(-1, 10)
    blades = np.zeros((len(rotors), max(most_blades, 1), 3))
    for index, rotor in enumerate(scene.rotors):
        if rotor.pattern.blades:
            blades[index, : rotor.pattern.blades] = _blades(rotor.pattern, (seed, 3, index))
    shapes = np.array([_shapes(rotor, duration_us) for rotor in scene.rotors])
    padded = np.array([np.vstack((k, np.tile(k[-1], (most_knots - len(k), 1)))) for k in knots])
    time_us = np.arange(milliseconds) * 1e3
    shifts = np.zeros((len(scene.textures), milliseconds, 2))
    textures = np.zeros((len(scene.textures), 8))
    for index, texture in enumerate(scene.textures):
        body = texture.body or (0.0, 0.0)
        textures[index] = (*texture.region, texture.contrast, texture.grain_px, *body)
        for axis, shift in enumerate(np.array(texture.shift_px).T):
            shifts[index, :, axis] = np.interp(time_us, texture.time_us, shift)
    lamps = [
        (*lamp.center, lamp.radius_px, lamp.frequency_hz, lamp.modulation) for lamp in scene.lamps
    ]
    return (
        scene.background,
        rotors,
        blades,
        shapes.reshape(len(rotors), milliseconds, 5),
        padded.reshape(len(rotors), most_knots, 4),
        textures,
        shifts,
        np.array(lamps).reshape(-1, 5),
        np.array((scene.flicker_hz, scene.flicker_depth)),
    )


def _rotor_numbers(rotor: Rotor) -> tuple[float, ...]:
    pattern = rotor.pattern
    return (
        rotor.phase_rad,
        pattern.half_width_rad,
        pattern.half_width,
        pattern.sweep_rad,
        -1.0 if pattern.disc_reflectance is None else pattern.disc_reflectance,
        pattern.hub_radius,
        pattern.texture,
        pattern.texture_grain_px,
        pattern.edge_px,
        pattern.glint,
    )


def _blades(pattern: BladePattern, seed: tuple[int, ...]) -> _Real:
    """Angle, relative width and reflectance of each blade, (n, 3); the first angle is exact."""
    random = np.random.default_rng(seed)
    middle = 2 * math.pi * np.arange(pattern.blades) / pattern.blades
    middle[1:] += pattern.differences * 0.1 * random.normal(size=pattern.blades - 1)
    width = 1 + pattern.differences * np.clip(random.normal(size=pattern.blades), -2, 2)
    light = 1 + pattern.differences * np.clip(random.normal(size=pattern.blades), -2, 2)
    return np.stack((middle, width, pattern.reflectance * light), axis=1)
