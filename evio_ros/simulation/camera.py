"""Parameters of the simulated sensor."""

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
"""Parameters of the pixel model "photoreceptor" only, with the values at which they have no
effect."""


@dataclass(frozen=True)
class SensorParameters(Parameters):
    """Properties of the simulated sensor; by default a modern camera in good light.

    With `pixel_model` "photoreceptor", pixels are slow and noisy in the dark, see
    `photoreceptor_kernel`. With `readout_line_us`, events are read out line by line, see
    `readout_kernel`. docs/realism.md compares this with a real sensor.

    Raises:
        ParameterError: if a value is out of range, or a parameter is given that only the other
            pixel model has.
    """

    width: int = parameter(1280, unit="px", minimum=1, maximum=16384, doc="Columns of the sensor.")
    height: int = parameter(720, unit="px", minimum=1, maximum=16384, doc="Rows of the sensor.")
    threshold_on: float = parameter(
        0.3, minimum=0.01, maximum=5.0, doc="Rise of log intensity that triggers an ON event."
    )
    threshold_off: float = parameter(
        0.3, minimum=0.01, maximum=5.0, doc="Fall of log intensity that triggers an OFF event."
    )
    threshold_mismatch: float = parameter(
        0.04, minimum=0.0, maximum=0.5, doc="Relative standard deviation of the pixels' thresholds."
    )
    cutoff_hz: float = parameter(
        3000.0, unit="Hz", minimum=1.0, maximum=1e6, doc="Cutoff frequency of the photoreceptors."
    )
    refractory_us: float = parameter(
        100.0, unit="us", minimum=0.0, maximum=1e5, doc="Refractory period of a pixel."
    )
    jitter_us: float = parameter(
        15.0, unit="us", minimum=0.0, maximum=1e4, doc="Standard deviation of an event's latency."
    )
    noise_hz: float = parameter(
        0.2, unit="Hz", minimum=0.0, maximum=1e4, doc="Rate of noise events per pixel."
    )
    noise_on_share: float = parameter(
        0.5, minimum=0.0, maximum=1.0, doc="Share of ON events in the noise; leak makes it larger."
    )
    hot_pixels: int = parameter(
        20, minimum=0, maximum=10_000, doc="Number of hot pixels, which fire without a stimulus."
    )
    hot_pixel_hz: float = parameter(
        500.0, unit="Hz", minimum=0.0, maximum=1e6, doc="Event rate of a hot pixel."
    )
    noise_spread: float = parameter(
        0.0, minimum=0.0, maximum=5.0, doc="Standard deviation of the pixels' log noise rate."
    )
    pixel_model: str = parameter(
        "threshold",
        choices=("threshold", "photoreceptor"),
        doc="Pixels of fixed bandwidth, or photoreceptors that are slow and noisy in the dark.",
    )
    cutoff_growth: float = parameter(
        0.0, minimum=0.0, maximum=1.0, doc="Bandwidth is proportional to light to this power."
    )
    dark_light: float = parameter(
        0.0, minimum=0.0, maximum=1.0, doc="Stray light and dark current, as a reflectance."
    )
    buffer_hz: float = parameter(
        0.0, unit="Hz", minimum=0.0, maximum=1e6, doc="Cutoff of the source follower; 0: no limit."
    )
    shot_noise: float = parameter(
        0.0, minimum=0.0, maximum=1.0, doc="Shot noise: standard deviation of log light at light 1."
    )
    shot_noise_growth: float = parameter(
        0.5,
        minimum=0.0,
        maximum=1.0,
        doc="Shot noise falls with light to this power.",
    )
    on_lag_us: float = parameter(
        0.0, unit="us", minimum=0.0, maximum=1e5, doc="Delay of an ON event after the crossing."
    )
    off_lag_us: float = parameter(
        0.0, unit="us", minimum=0.0, maximum=1e5, doc="Delay of an OFF event after the crossing."
    )
    leak_hz: float = parameter(
        0.0, unit="Hz", minimum=0.0, maximum=1e3, doc="Rate of leak (ON) events of a resting pixel."
    )
    pixel_spread: float = parameter(
        0.0,
        minimum=0.0,
        maximum=2.0,
        doc="Standard deviation of the pixels' log bandwidth and log leak rate.",
    )
    odd_threshold: float = parameter(
        1.0, minimum=0.1, maximum=10.0, doc="Thresholds in odd columns relative to even ones."
    )
    odd_refractory: float = parameter(
        1.0, minimum=0.1, maximum=10.0, doc="Refractory period in odd columns, likewise."
    )
    readout_line: str = parameter("row", choices=("row", "column"), doc="Unit of readout.")
    readout_line_us: float = parameter(
        0.0, unit="us", minimum=0.0, maximum=1e4, doc="Readout time of a line; 0: no limit."
    )
    readout_event_us: float = parameter(
        0.0, unit="us", minimum=0.0, maximum=1e3, doc="Readout time of each event in a line."
    )
    seed: int = parameter(0, minimum=0, doc="Seed of all random numbers.")

    @property
    def size(self) -> SensorSize:
        """Geometry of the sensor."""
        return SensorSize(self.width, self.height)

    @property
    def has_photoreceptors(self) -> bool:
        """Whether the pixel model is "photoreceptor"."""
        return self.pixel_model == "photoreceptor"

    def check_together(self) -> None:
        """Refuse parameters of the other pixel model, and an event's readout time without lines."""
        if not self.has_photoreceptors:
            for name, neutral in _OF_PHOTORECEPTORS.items():
                if getattr(self, name) != neutral:
                    raise ParameterError(f'{name}: needs pixel_model "photoreceptor"')
        if self.readout_event_us and not self.readout_line_us:
            raise ParameterError("readout_event_us: needs readout_line_us above 0")
