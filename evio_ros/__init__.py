"""Rotation measurement with event cameras: the library, the `evio` command and the ROS 2 nodes.

    import evio_ros

    for m in evio_ros.measure("fan.raw", window_us=20_000):
        print(m.t_us, [(rotor.id, rotor.rpm, rotor.rpm_std) for rotor in m.rotors])

The names below are the public interface; each is imported on first use. See docs/api.md.

The message modules (``evio_ros.msg``, ``evio_ros.srv``) are generated at build time and installed
in another folder; ``extend_path`` joins the two when both are on ``sys.path``.
"""

from pkgutil import extend_path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evio_ros.errors import EventError, EvioError, ParameterError, SourceError
    from evio_ros.estimate import Measurement, RotorEstimate
    from evio_ros.event_formats import (
        events_from_array,
        events_from_columns,
        events_from_polars,
        events_to_array,
        events_to_columns,
        events_to_polars,
    )
    from evio_ros.events import EventBatch, EventWindow, RegionOfInterest, SensorSize
    from evio_ros.explanation import Explanation
    from evio_ros.measuring import measure
    from evio_ros.rotation.detector import RotationDetector
    from evio_ros.rotation.detector_parameters import RotationDetectorParameters
    from evio_ros.sources.registry import open_source
    from evio_ros.windowing import windows

__path__ = extend_path(__path__, __name__)
__version__ = "0.1.0"

__all__ = [
    "EventBatch",
    "EventError",
    "EventWindow",
    "EvioError",
    "Explanation",
    "Measurement",
    "ParameterError",
    "RegionOfInterest",
    "RotationDetector",
    "RotationDetectorParameters",
    "RotorEstimate",
    "SensorSize",
    "SourceError",
    "events_from_array",
    "events_from_columns",
    "events_from_polars",
    "events_to_array",
    "events_to_columns",
    "events_to_polars",
    "measure",
    "open_source",
    "windows",
]

_MODULES = {
    "errors": ("EventError", "EvioError", "ParameterError", "SourceError"),
    "estimate": ("Measurement", "RotorEstimate"),
    "event_formats": (
        "events_from_array",
        "events_from_columns",
        "events_from_polars",
        "events_to_array",
        "events_to_columns",
        "events_to_polars",
    ),
    "events": ("EventBatch", "EventWindow", "RegionOfInterest", "SensorSize"),
    "explanation": ("Explanation",),
    "measuring": ("measure",),
    "rotation.detector": ("RotationDetector",),
    "rotation.detector_parameters": ("RotationDetectorParameters",),
    "sources.registry": ("open_source",),
    "windowing": ("windows",),
}
"""The module that defines each name."""


if not TYPE_CHECKING:  # a type checker would conclude that every name exists

    def __getattr__(name: str) -> object:
        for module, names in _MODULES.items():
            if name in names:
                from importlib import import_module

                value = getattr(import_module(f"{__name__}.{module}"), name)
                globals()[name] = value  # later look-ups do not call this function
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
