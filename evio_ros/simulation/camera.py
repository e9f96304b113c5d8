"""The simulated sensor."""

from __future__ import annotations

from dataclasses import dataclass

from evio_ros.errors import ParameterError
from evio_ros.events import SensorSize
from evio_ros.parameters import Parameters, parameter

__all__ = ["SensorParameters"]

_OF_PHOTORECEPTORS = {
    "cutoff_growth": 0.0,
    "dark_light": 0.0,
    "buffer_hz": 0.0,
    "shot_noise": 0.0,
    "on_lag_us": 0.0,
    "off_lag_us": 0.0,
    "leak_hz": 0.0,
    "pixel_spread": 0.0,
    "odd_threshold": 1.0,
    "odd_refractory": 1.0,
}
"""What only the pixel model "photoreceptor" has, and the value at which it does nothing."""


@dataclass(frozen=True)
class SensorParameters(Parameters):
    """Properties of the simulated sensor; by default a modern camera in good light.

    With `pixel_model` "photoreceptor", pixels are as `photoreceptor_kernel` tells: slow and noisy
    in the dark. With `readout_line_us`, events leave the sensor line by line, see
    `readout_kernel`. docs/realism.md tells what a real sensor shows of this.

    Raises:
        ParameterError: where a value is out of range, or a property is given that only the other
            pixel model has.
    """

    width: int = parameter(1280, unit="px", minimum=1, maximum=16384, doc="Columns of the sensor.")
    height: int = parameter(720, unit="px", minimum=1, maximum=16384, doc="Rows of the sensor.")
    threshold_on: float = parameter(
        0.3, minimum=0.01, maximum=5.0, doc="Rise of log intensity that makes an ON event."
    )
    threshold_off: float = parameter(
        0.3, minimum=0.01, maximum=5.0, doc="Fall of log intensity that makes an OFF event."
    )
    threshold_mismatch: float = parameter(
        0.04, minimum=0.0, maximum=0.5, doc="Standard deviation of the thresholds over the pixels."
    )
    cutoff_hz: float = parameter(
        3000.0, unit="Hz", minimum=1.0, maximum=1e6, doc="Low-pass of the photoreceptors."
    )
    refractory_us: float = parameter(
        100.0, unit="us", minimum=0.0, maximum=1e5, doc="A pixel is blind so long after an event."
    )
    jitter_us: float = parameter(
        15.0, unit="us", minimum=0.0, maximum=1e4, doc="Standard deviation of an event's latency."
    )
    noise_hz: float = parameter(
        0.2, unit="Hz", minimum=0.0, maximum=1e4, doc="Noise events of every pixel."
    )
    noise_on_share: float = parameter(
        0.5, minimum=0.0, maximum=1.0, doc="Share of ON events in the noise; leak makes ON events."
    )
    hot_pixels: int = parameter(
        20, minimum=0, maximum=10_000, doc="Pixels that fire by themselves."
    )
    hot_pixel_hz: float = parameter(
        500.0, unit="Hz", minimum=0.0, maximum=1e6, doc="Event rate of a hot pixel."
    )
    noise_spread: float = parameter(
        0.0, minimum=0.0, maximum=5.0, doc="Spread over the pixels of the log of the noise's rate."
    )
    pixel_model: str = parameter(
        "threshold",
        choices=("threshold", "photoreceptor"),
        doc="Pixels of fixed bandwidth, or slow and noisy in the dark.",
    )
    cutoff_growth: float = parameter(
        0.0, minimum=0.0, maximum=1.0, doc="Exponent of light to which the bandwidth grows."
    )
    dark_light: float = parameter(
        0.0, minimum=0.0, maximum=1.0, doc="Stray light and dark current, as reflectance."
    )
    buffer_hz: float = parameter(
        0.0, unit="Hz", minimum=0.0, maximum=1e6, doc="Low-pass after the photoreceptor; 0: none."
    )
    shot_noise: float = parameter(
        0.0, minimum=0.0, maximum=1.0, doc="Standard deviation of log light 1 by photon counting."
    )
    shot_noise_growth: float = parameter(
        0.5, minimum=0.0, maximum=1.0, doc="Exponent of light by which this noise falls."
    )
    on_lag_us: float = parameter(
        0.0, unit="us", minimum=0.0, maximum=1e5, doc="Time from a crossing to its ON event."
    )
    off_lag_us: float = parameter(
        0.0, unit="us", minimum=0.0, maximum=1e5, doc="Time from a crossing to its OFF event."
    )
    leak_hz: float = parameter(
        0.0, unit="Hz", minimum=0.0, maximum=1e3, doc="ON events of a resting pixel by leak."
    )
    pixel_spread: float = parameter(
        0.0,
        minimum=0.0,
        maximum=2.0,
        doc="Spread over pixels of the log of bandwidth, leak.",
    )
    odd_threshold: float = parameter(
        1.0, minimum=0.1, maximum=10.0, doc="Thresholds of odd columns relative to even ones."
    )
    odd_refractory: float = parameter(
        1.0, minimum=0.1, maximum=10.0, doc="Refractory period of odd columns, likewise."
    )
    readout_line: str = parameter("row", choices=("row", "column"), doc="What is read out at once.")
    readout_line_us: float = parameter(
        0.0, unit="us", minimum=0.0, maximum=1e4, doc="Time that a line takes; 0: no limit."
    )
    readout_event_us: float = parameter(
        0.0, unit="us", minimum=0.0, maximum=1e3, doc="Time that each event of a line takes."
    )
    seed: int = parameter(0, minimum=0, doc="Seed of everything random.")

    @property
    def size(self) -> SensorSize:
        """Geometry of the sensor."""
        return SensorSize(self.width, self.height)

    @property
    def has_photoreceptors(self) -> bool:
        """Whether pixels are slow and noisy in the dark."""
        return self.pixel_model == "photoreceptor"

    def check_together(self) -> None:
        """Refuse what a pixel of fixed bandwidth lacks, and time for events without lines."""
        if not self.has_photoreceptors:
            for name, neutral in _OF_PHOTORECEPTORS.items():
                if getattr(self, name) != neutral:
                    raise ParameterError(f'{name}: needs pixel_model "photoreceptor"')
        if self.readout_event_us and not self.readout_line_us:
            raise ParameterError("readout_event_us: needs readout_line_us above 0")
