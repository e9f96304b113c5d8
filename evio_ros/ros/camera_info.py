"""Reading a camera's calibration, a YAML file as ROS's camera_calibration writes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo

from evio_ros.errors import EvioError

__all__ = ["read_camera_info"]

_MATRICES = {
    "camera_matrix": ("k", 9),
    "rectification_matrix": ("r", 9),
    "projection_matrix": ("p", 12),
}
"""Name in the file to field of the message and number of elements."""


def read_camera_info(path: str) -> CameraInfo:
    """Read a calibration; stamp and frame are left empty.

    Args:
        path: a file with image_width, image_height, camera_matrix, distortion_model,
            distortion_coefficients, rectification_matrix and projection_matrix
            (https://wiki.ros.org/camera_calibration_parsers).

    Raises:
        EvioError: if the file cannot be read, or is not a calibration.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise EvioError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise EvioError(f"{path}: is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(content, Mapping):
        raise EvioError(f"{path}: is not a camera calibration")
    info = CameraInfo()
    info.width = _whole_number(path, content, "image_width")
    info.height = _whole_number(path, content, "image_height")
    for name, (field, length) in _MATRICES.items():
        values = _numbers(path, content, name)
        if len(values) != length:
            raise EvioError(f"{path}: {name} has {len(values)} elements, not {length}")
        setattr(info, field, values)
    info.distortion_model = str(content.get("distortion_model", "plumb_bob"))
    info.d = _numbers(path, content, "distortion_coefficients")
    return info


def _whole_number(path: str, content: Mapping[str, Any], name: str) -> int:
    value = content.get(name)
    if type(value) is not int or not 0 < value <= 1 << 16:
        raise EvioError(f"{path}: {name}: {value!r} is not a number of pixels")
    return value


def _numbers(path: str, content: Mapping[str, Any], name: str) -> list[float]:
    matrix = content.get(name)
    data = matrix.get("data") if isinstance(matrix, Mapping) else None
    try:
        values = np.array(data, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.array(np.nan)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise EvioError(f"{path}: {name}.data is not a list of numbers")
    return [float(value) for value in values]
