"""Running exported ONNX networks by OpenVINO or ONNX Runtime, without PyTorch.

An exported network maps an input and the recurrent states to predictions and the next states, all
float32 and of constant shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["onnxruntime_of", "openvino_of"]

_Single = NDArray[np.float32]


class OnnxInference:
    """An exported network with its recurrent state.

    Args:
        shapes: shapes of the input and of each state.
        run: maps input and states to predictions and states.

    Attributes:
        states: recurrent states after the last input.
    """

    def __init__(
        self, shapes: Sequence[Sequence[int]], run: Callable[[list[_Single]], list[_Single]]
    ) -> None:
        self._first = [np.zeros(tuple(shape), np.float32) for shape in shapes[1:]]
        self._run = run
        self.states = list(self._first)

    def step(self, histogram: NDArray[np.uint8]) -> _Single:
        """Predictions (places, 5 + classes) for the next input (channels, rows, columns)."""
        predictions, *self.states = self._run([histogram[None].astype(np.float32), *self.states])
        return predictions[0]

    def reset(self) -> None:
        """Reset the recurrent state."""
        self.states = list(self._first)


def onnxruntime_of(exported: bytes, threads: int) -> OnnxInference:
    """Run an exported network by ONNX Runtime; `threads` 0 leaves their number to it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    names = [one.name for one in inputs]
    return OnnxInference(
        [one.shape for one in inputs],
        lambda values: session.run(None, dict(zip(names, values, strict=True))),
    )


def openvino_of(exported: bytes, threads: int) -> OnnxInference:
    """Run an exported network by OpenVINO; `threads` 0 leaves their number to it."""
    import openvino

    # By default it uses bfloat16 on some processors, with errors of up to 0.1 in the score.
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    core = openvino.Core()
    model = core.compile_model(core.read_model(exported, b""), "CPU", settings)
    request = model.create_infer_request()
    outputs = list(model.outputs)

    def run(values: list[_Single]) -> list[_Single]:
        result = request.infer(dict(enumerate(values)))
        return [np.array(result[output]) for output in outputs]

    return OnnxInference([list(one.shape) for one in model.inputs], run)
