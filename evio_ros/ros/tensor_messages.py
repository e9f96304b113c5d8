"""Tensors as messages, filled in place, and back."""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from evio_ros.errors import EventError
from evio_ros.msg import EventTensor

__all__ = ["TensorMessage", "tensor_of"]

_DTYPES = ("uint8", "int16", "int32", "float32", "float64")


class TensorMessage:
    """The message of one kind of tensor; its memory is used again for every window.

    Args:
        kind: name of the kind.
        shape, dtype: of the tensor.

    Attributes:
        tensor: the message's own memory; what is written here is sent.
    """

    def __init__(self, kind: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._message = EventTensor(kind=kind, dtype=dtype.name)
        self._message.shape = list(shape)
        self._message.data = array("B", bytes(math.prod(shape) * dtype.itemsize))
        self.tensor = np.frombuffer(self._message.data, dtype).reshape(shape)

    def complete(
        self,
        header: Header,
        start_us: int,
        length_us: int,
        bin_edges_us: NDArray[np.int64],
        event_count: int,
    ) -> EventTensor:
        """The message of the window whose tensor has been written; valid until the next call.

        Args:
            header: its stamp is the ROS time of `start_us`.
            start_us, length_us: the window, at most 2**32 - 1 µs long.
            bin_edges_us: edges of the time bins since the window's start.
            event_count: events that went into the tensor.
        """
        message = self._message
        message.header = header
        message.window_start, message.window_length = start_us, length_us
        message.bin_edges = bin_edges_us.tolist()
        message.event_count = event_count
        return message


def tensor_of(message: EventTensor) -> NDArray[Any]:
    """The tensor in a message, as a view of its memory.

    Raises:
        EventError: if type, shape and number of bytes do not go together.
    """
    if message.dtype not in _DTYPES:
        raise EventError(f"dtype {message.dtype!r} is not one of {', '.join(_DTYPES)}")
    dtype = np.dtype(message.dtype).newbyteorder("<")
    shape = tuple(int(side) for side in message.shape)
    wanted = math.prod(shape) * dtype.itemsize
    if len(message.data) != wanted:
        raise EventError(f"data has {len(message.data)} bytes, {dtype.name} {shape} takes {wanted}")
    return np.frombuffer(message.data, dtype).reshape(shape)
