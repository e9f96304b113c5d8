"""Importing OpenCV, an optional library, only where it is needed."""

from __future__ import annotations

from typing import Any

from evio_ros.errors import EvioError

__all__ = ["opencv"]


def opencv(task: str) -> Any:
    """The OpenCV module.

    Args:
        task: what needs it, for the message.

    Raises:
        EvioError: if it is not installed; the message says what to install.
    """
    try:
        import cv2
    except ImportError:
        raise EvioError(
            f"{task} needs OpenCV: apt install python3-opencv, or pip install 'evio_ros[vision]'"
        ) from None
    return cv2
