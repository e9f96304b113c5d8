"""The known discs of a fixed camera: read from a file, saved and forgotten by services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from std_srvs.srv import Trigger

from evio_ros.errors import EvioError
from evio_ros.events import SensorSize
from evio_ros.parameters import Parameters, parameter
from evio_ros.ros.base_node import EvioNode
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.known_discs import KnownDiscs

__all__ = ["CalibrationParameters", "KnownDiscsFile"]


@dataclass(frozen=True)
class CalibrationParameters(Parameters):
    """Where the known discs of a fixed camera are kept."""

    file: str = parameter(
        "",
        read_only=True,
        doc="File of known discs, read at start if it exists; ~/save_calibration writes it.",
    )


class KnownDiscsFile:
    """Services `~/save_calibration`, which keeps the discs in the file that the parameter names,
    and `~/recalibrate`, which forgets them so that they are found again.

    Args:
        node: a node with `CalibrationParameters` under the prefix "calibration".
        detector: returns the present detector; None before the first events.

    Raises:
        EvioError: if the file exists and is not a file of known discs.
    """

    def __init__(self, node: EvioNode, detector: Callable[[], RotationDetector | None]) -> None:
        self._detector = detector
        self._file = node.parameters.get(CalibrationParameters, "calibration").file
        is_there = self._file and Path(self._file).exists()
        self._known = KnownDiscs.read(self._file) if is_there else None
        node.create_service(Trigger, "~/recalibrate", self._recalibrate)
        node.create_service(Trigger, "~/save_calibration", self._save)

    def of(self, size: SensorSize) -> KnownDiscs | None:
        """The discs of the file, if they are for this sensor."""
        return self._known if self._known is not None and self._known.size == size else None

    def _recalibrate(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._known = None
        detector = self._detector()
        if detector is not None:
            detector.forget_discs()
        response.success, response.message = True, "all discs are forgotten"
        return response

    def _save(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        detector = self._detector()
        if not self._file:
            response.message = "the parameter calibration.file is not set"
        elif detector is None:
            response.message = "no events have come yet"
        else:
            response.success, response.message = _write(detector.known_discs(), self._file)
        return response


def _write(known: KnownDiscs, file: str) -> tuple[bool, str]:
    """Write the file; whether that succeeded, and a message."""
    try:
        known.write(file)
    except EvioError as error:
        return False, str(error)
    return True, f"{len(known.discs)} discs in {file}"
