"""Tensors as messages, filled in place, and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from evio_ros.errors import EventError
from evio_ros.msg import EventTensor
from evio_ros.representations.base import Representation

__all__ = ["TensorMessage", "tensor_of"]

DTYPES = ("uint8", "int16", "int32", "float32", "float64")


class TensorMessage:
    """The message of one representation; its memory is used again for every window.

    Args:
        kind: key of the registry.
        representation: says shape and type.
    """

    def __init__(self, kind: str, representation: Representation) -> None:
        shape, dtype = representation.shape, representation.dtype
        self._representation = representation
        self._message = EventTensor(kind=kind, dtype=dtype.name)
        self._message.shape = list(shape)
        self._message.data = bytes(math.prod(shape) * dtype.itemsize)
        # The message's own memory: the tensor is written where the middleware reads it.
        self._tensor = np.frombuffer(self._message.data, dtype).reshape(shape)

    def fill(self, header: Header, start_us: int, length_us: int) -> EventTensor:
        """The message of the window that the representation holds; valid until the next call.

        Args:
            header: its stamp is the ROS time of `start_us`.
            start_us, length_us: the window.
        """
        message = self._message
        self._representation.read(self._tensor)
        message.header = header
        message.window_start = start_us
        message.window_length = length_us
        message.bin_edges = self._representation.bin_edges_us().tolist()
        message.event_count = self._representation.event_count
        return message


def tensor_of(message: EventTensor) -> NDArray[Any]:
    """The tensor in a message, as a view of its memory.

    Raises:
        EventError: where type, shape and number of bytes do not go together.
    """
    if message.dtype not in DTYPES:
        raise EventError(f"dtype {message.dtype!r} is not one of {', '.join(DTYPES)}")
    dtype = np.dtype(message.dtype).newbyteorder("<")
    wanted = math.prod(int(side) for side in message.shape) * dtype.itemsize
    if len(message.data) != wanted:
        raise EventError(
            f"data has {len(message.data)} bytes, {dtype.name} {tuple(message.shape)} takes {wanted}"
        )
    return np.frombuffer(message.data, dtype).reshape(message.shape)
