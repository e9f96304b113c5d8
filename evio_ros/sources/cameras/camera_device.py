"""The boundary to the library neuromorphic-drivers: listing, configuring and opening cameras.

No other module uses that library. A device is an iterator of (status, packet); if no data arrived
within the time-out, `status.ring` is None.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from evio_ros.errors import EventError, ParameterError, SourceError
from evio_ros.events import RegionOfInterest, SensorSize
from evio_ros.parameters import Parameters, parameter
from evio_ros.sources.optional_library import optional_library

__all__ = [
    "MODELS",
    "UDEV_COMMAND",
    "CameraParameters",
    "bias_names",
    "configuration_of",
    "list_cameras",
    "open_device",
    "size_of",
]

MODELS = {
    "davis346": "inivation_davis346",
    "dvxplorer": "inivation_dvxplorer",
    "evk3_hd": "prophesee_evk3_hd",
    "evk4": "prophesee_evk4",
    "triton": "lucid_triton",
    "vga": "centuryarks_vga",
}
"""Our names of the cameras, as in `camera:evk4`, and the library's names."""

UDEV_COMMAND = "sudo $(which neuromorphic-drivers-install-udev-rules)"
"""Command that allows every user of the machine to open the cameras."""

_CLOCKS = {"primary": "INTERNAL_WITH_OUTPUT_ENABLED", "secondary": "EXTERNAL"}
"""The library's names of shared clocks."""
_RATE_PERIOD_US = 200
"""Counting period of the cameras' event-rate controllers."""


@dataclass(frozen=True)
class CameraParameters(Parameters):
    """Settings of a live camera."""

    serial: str = parameter(
        "", read_only=True, doc="Serial number of the camera; empty for the first one found."
    )
    biases: str = parameter(
        "",
        doc="Biases that differ from the camera's defaults, e.g. diff_on=20,diff_off=10; "
        "`evio devices` lists the names.",
    )
    roi: str = parameter(
        "",
        doc="Only the pixels x0,y0,x1,y1 with x0 <= x < x1 and y0 <= y < y1 send events; "
        "empty for all pixels.",
    )
    event_rate_limit_hz: int = parameter(
        0,
        unit="Hz",
        minimum=0,
        maximum=2_000_000_000,
        doc="The camera drops events above this rate; 0 for no limit.",
    )
    clock: str = parameter(
        "own",
        choices=("own", "primary", "secondary"),
        read_only=True,
        doc="For cameras wired to share one clock: primary provides the clock to the others, "
        "secondary uses the clock on the wire. EVK4 only.",
    )

    def check_together(self) -> None:
        """Check the syntax of `biases` and `roi`."""
        _ = self.bias_values, self.region

    @property
    def bias_values(self) -> dict[str, int]:
        """Biases by name."""
        values = {}
        for item in filter(None, self.biases.replace(" ", "").split(",")):
            name, mark, text = item.partition("=")
            if not mark or not text.lstrip("-").isdigit():
                raise ParameterError(f"biases: {item!r} is not NAME=NUMBER")
            values[name] = int(text)
        return values

    @property
    def region(self) -> RegionOfInterest | None:
        """The region given by `roi`; None for the whole sensor."""
        if not self.roi:
            return None
        try:
            return RegionOfInterest.parse(self.roi)
        except EventError as error:
            raise ParameterError(f"roi: {error}") from None


@dataclass(frozen=True, slots=True)
class ListedCamera:
    """A connected camera.

    Attributes:
        model: key of `MODELS`.
        name: maker and model.
        serial: serial number; "" if it cannot be read.
        connection: kind and speed of the connection.
        error: why it cannot be opened; "" if it can.
    """

    model: str
    name: str
    serial: str
    connection: str
    error: str


def _library() -> Any:
    return optional_library("neuromorphic_drivers", "evio_ros[cameras]", "camera")


def list_cameras() -> list[ListedCamera]:
    """List the connected cameras.

    Raises:
        SourceError: if the library is not installed or the machine has no USB bus.
    """
    library = _library()
    try:
        listed = library.list_devices()
    except RuntimeError as error:
        raise SourceError("camera", f"the USB bus cannot be searched: {error}") from None
    models = {name: model for model, name in MODELS.items()}
    return [
        ListedCamera(
            models.get(device.name.name.lower(), ""),
            device.name.value,
            device.serial or "",
            device.connection.value,
            device.error or "",
        )
        for device in listed
    ]


def size_of(model: str) -> SensorSize:
    """Geometry of a camera's sensor, by a key of `MODELS`."""
    properties = _module(model).Properties()
    return SensorSize(int(properties.width), int(properties.height))


def bias_names(model: str) -> list[str]:
    """Names of a camera's biases, by a key of `MODELS`."""
    return [field.name for field in dataclasses.fields(_module(model).Biases)]


def configuration_of(model: str, parameters: CameraParameters) -> Any:
    """The library's configuration of a camera.

    Args:
        model: key of `MODELS`.
        parameters: the settings.

    Raises:
        ParameterError: if the camera does not support a setting.
    """
    module = _module(model)
    configuration = module.Configuration()
    for name, value in parameters.bias_values.items():
        if name not in bias_names(model):
            known = ", ".join(bias_names(model))
            raise ParameterError(f"biases: {model} has no bias {name}; it has {known}")
        kind = type(getattr(configuration.biases, name))
        setattr(configuration.biases, name, kind(value))
    if parameters.region is not None:
        _set_region(model, configuration, parameters.region)
    if parameters.event_rate_limit_hz:
        if not hasattr(configuration, "rate_limiter"):
            raise ParameterError(f"event_rate_limit_hz: {model} cannot limit its event rate")
        most = max(round(parameters.event_rate_limit_hz * _RATE_PERIOD_US / 1_000_000), 1)
        configuration.rate_limiter = module.RateLimiter(
            reference_period_us=_RATE_PERIOD_US, maximum_events_per_period=most
        )
    if parameters.clock != "own":
        if not hasattr(configuration, "clock"):
            raise ParameterError(f"clock: {model} cannot share its clock")
        configuration.clock = module.Clock[_CLOCKS[parameters.clock]]
    try:
        configuration.serialize()
    except Exception as error:  # the library's packing may raise anything
        raise ParameterError(
            f"biases: {model} does not accept {parameters.biases}: {error}"
        ) from None
    return configuration


def _set_region(model: str, configuration: Any, region: RegionOfInterest) -> None:
    size = size_of(model)
    if region.x1 > size.width or region.y1 > size.height:
        raise ParameterError(
            f"roi: ({region.x1}, {region.y1}) is outside the sensor of {size} pixels"
        )
    width, height = region.x1 - region.x0, region.y1 - region.y0
    if hasattr(configuration, "region_of_interest"):
        configuration.region_of_interest = _module(model).RegionOfInterest(
            left=region.x0, top=region.y0, width=width, height=height
        )
    elif hasattr(configuration, "x_mask"):
        mask = _library().RowColumnMask(width=size.width, height=size.height, set=True)
        mask.clear_rectangle(x=region.x0, y=region.y0, width=width, height=height)
        configuration.x_mask, configuration.y_mask = mask.x_mask(), mask.y_mask()
    else:
        raise ParameterError(f"roi: {model} does not support a region of interest")


def open_device(configuration: Any, serial: str, timeout_s: float) -> Any:
    """Open a camera.

    Args:
        configuration: from `configuration_of`; it also gives the model.
        serial: serial number; "" for any.
        timeout_s: maximum wait for a packet, in s.

    Raises:
        SourceError: if there is no such camera, or it cannot be opened.
        ParameterError: if a bias is out of the camera's range.
    """
    try:
        return _library().open(
            configuration=configuration, iterator_timeout=timeout_s, serial=serial or None
        )
    except OverflowError as error:
        raise ParameterError(f"biases: {error}") from None
    except RuntimeError as error:
        reason = f"cannot be opened: {error}; `evio devices` lists the connected cameras"
        raise SourceError("camera", reason) from None


def _module(model: str) -> Any:
    if model not in MODELS:
        raise ParameterError(f"camera: {model!r} is not one of {', '.join(MODELS)}")
    return getattr(_library(), MODELS[model])
