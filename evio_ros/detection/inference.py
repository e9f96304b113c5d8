"""Ways to run a network: PyTorch as it is, traced, on CUDA, OpenVINO, ONNX Runtime.

All compute the same in float32; which is fastest depends on the machine. A run takes one input and
keeps the recurrent state for the next.
"""

from __future__ import annotations

import importlib.util
import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evio_ros.detection.rvt_configuration import RvtConfiguration
from evio_ros.errors import EvioError, ParameterError

if TYPE_CHECKING:
    from torch import Tensor

    from evio_ros.detection.rvt_network import RvtNetwork

__all__ = ["BACKENDS", "Network", "inference_of", "missing_packages"]

_Single = NDArray[np.float32]
_OPSET = 17
_PACKAGES = ("torch", "evlib", "safetensors", "norfair", "cv2")
_CUDA, _EAGER, _OPENVINO, _TRACED = "cuda", "eager", "openvino", "traced"


class _Inference(Protocol):
    """A network with its recurrent state."""

    @property
    def states(self) -> list[_Single]:
        """Hidden and cell state of each stage in turn, (1, channels, rows, columns)."""
        ...

    def step(self, histogram: NDArray[np.uint8]) -> _Single:
        """Predictions, (places, 5 + classes), for the next input, (channels, rows, columns)."""
        ...

    def reset(self) -> None:
        """Forget the state."""
        ...


class Network:
    """A network that is ready to run, with the recurrent state of one stream of events.

    Args:
        configuration: what network.
        inference: runs it.
        backend: what that is.
        remark: what else was tried first and why it was not taken; empty for nothing.

    Attributes:
        configuration, backend, remark: as given.
    """

    def __init__(
        self, configuration: RvtConfiguration, inference: _Inference, backend: str, remark: str = ""
    ) -> None:
        self.configuration = configuration
        self.backend = backend
        self.remark = remark
        self._inference = inference

    def step(self, histogram: NDArray[np.uint8]) -> _Single:
        """Predictions for the next input.

        Args:
            histogram: uint8 (channels, rows, columns) of the network's input.

        Returns:
            float32 (places, 5 + classes), see `RvtNetwork.forward`.

        Raises:
            EvioError: where a graphics card has no memory left.
        """
        return self._inference.step(histogram)

    def features(self, stage: int) -> _Single:
        """What the network remembers: hidden state of a stage, 0 to 3, (channels, rows, columns).

        A cell of stage s is 4 * 2**s pixels wide.
        """
        return self._inference.states[2 * stage][0]

    def reset(self) -> None:
        """Forget the state."""
        self._inference.reset()


def missing_packages() -> list[str]:
    """What networks and tracks need and is not installed."""
    return [name for name in _PACKAGES if importlib.util.find_spec(name) is None]


def inference_of(
    configuration: RvtConfiguration, weights: dict[str, Tensor], backend: str, threads: int = 0
) -> Network:
    """Make a network ready to run.

    Args:
        configuration: what network.
        weights: by their published names.
        backend: a name of `BACKENDS`; or "auto" for the fastest, as measured, of those that are
            installed and work.
        threads: of the processor, 0 for the library's choice.

    Raises:
        ParameterError: where the backend is unknown, its library is missing or fails, or the
            weights do not fit the network.
    """
    try:
        import torch

        from evio_ros.detection.rvt_network import RvtNetwork
    except ImportError as error:
        raise ParameterError(
            f"networks need PyTorch and evlib: pip install 'evio_ros[rvt]' ({error})"
        ) from error
    if backend != "auto" and backend not in BACKENDS:
        raise ParameterError(f"backend: {backend!r} is none of auto, {', '.join(BACKENDS)}")
    if threads:
        torch.set_num_threads(threads)
    failures: list[str] = []
    for name in _backends_to_try() if backend == "auto" else [backend]:
        network = RvtNetwork(configuration)
        network.load_published(weights)
        network.requires_grad_(False)
        try:
            inference = BACKENDS[name](network, threads)
            inference.step(np.zeros(_shape_of(configuration), np.uint8))
            inference.reset()
        # Libraries of other makers: whatever they fail with, another backend may work.
        except Exception as error:
            failures.append(f"{name} cannot be used: {_first_line(error)}")
            continue
        return Network(configuration, inference, name, "; ".join(failures))
    raise ParameterError(f"backend: {'; '.join(failures)}")


def _shape_of(configuration: RvtConfiguration) -> tuple[int, int, int]:
    size = configuration.input_size
    return configuration.channels, size.height, size.width


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _backends_to_try() -> list[str]:
    """Backends from the fastest, as measured, to one that always works."""
    import torch

    names = [_CUDA] if torch.cuda.is_available() else []
    names += [_OPENVINO] if importlib.util.find_spec("openvino") else []
    return [*names, _TRACED, _EAGER]


class _Torch:
    """PyTorch, as it is or traced, on the processor or a graphics card."""

    def __init__(self, network: RvtNetwork, device: str, step: Callable[..., Any]) -> None:
        self._network = network
        self._device = device
        self._step = step
        self._states = network.first_states()

    @property
    def states(self) -> list[_Single]:
        """See `_Inference.states`."""
        return [state.cpu().numpy() for state in self._states]

    def step(self, histogram: NDArray[np.uint8]) -> _Single:
        """See `_Inference.step`."""
        import torch

        try:
            with torch.inference_mode():
                tensor = torch.from_numpy(histogram).to(self._device).float().unsqueeze(0)
                predictions, self._states = self._step(tensor, self._states)
                return predictions[0].cpu().numpy()
        except torch.cuda.OutOfMemoryError as error:
            raise EvioError(f"no memory on the CUDA device: {_first_line(error)}") from error

    def reset(self) -> None:
        """See `_Inference.reset`."""
        self._states = self._network.first_states()


def _eager(network: RvtNetwork, _: int) -> _Inference:
    return _Torch(network, "cpu", network)


def _traced(network: RvtNetwork, _: int) -> _Inference:
    import torch

    with torch.inference_mode(), _quiet():
        traced = torch.jit.trace(network, _example(network), check_trace=False)
        return _Torch(network, "cpu", torch.jit.optimize_for_inference(torch.jit.freeze(traced)))


def _cuda(network: RvtNetwork, _: int) -> _Inference:
    import torch

    if not torch.cuda.is_available():
        raise ParameterError("there is no CUDA device for PyTorch here")
    return _Torch(network.cuda(), "cuda", network)


class _Onnx:
    """A network exported to ONNX, run by a session of some library.

    Args:
        network: for the first states.
        run: from input and states to predictions and states.
    """

    def __init__(self, network: RvtNetwork, run: Callable[[list[_Single]], list[_Single]]) -> None:
        self._first = [state.numpy() for state in network.first_states()]
        self._run = run
        self.states = list(self._first)

    def step(self, histogram: NDArray[np.uint8]) -> _Single:
        """See `_Inference.step`."""
        predictions, *self.states = self._run([histogram[None].astype(np.float32), *self.states])
        return predictions[0]

    def reset(self) -> None:
        """See `_Inference.reset`."""
        self.states = list(self._first)


def _onnxruntime(network: RvtNetwork, threads: int) -> _Inference:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        _exported(network), options, providers=["CPUExecutionProvider"]
    )
    names = [one.name for one in session.get_inputs()]
    return _Onnx(network, lambda values: session.run(None, dict(zip(names, values, strict=True))))


def _openvino(network: RvtNetwork, threads: int) -> _Inference:
    import openvino

    # Left alone, it picks bfloat16 on some processors, which errs by up to 0.1 in the score.
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    core = openvino.Core()
    model = core.compile_model(core.read_model(_exported(network), b""), "CPU", settings)
    request = model.create_infer_request()
    outputs = list(model.outputs)

    def run(values: list[_Single]) -> list[_Single]:
        result = request.infer(dict(enumerate(values)))
        return [np.array(result[output]) for output in outputs]

    return _Onnx(network, run)


def _exported(network: RvtNetwork) -> bytes:
    """The network as an ONNX model: input and states in, predictions and states out."""
    import torch

    histogram, states = _example(network)
    names = [f"state_{i}" for i in range(len(states))]
    out = io.BytesIO()
    with torch.inference_mode(), _quiet():
        torch.onnx.export(
            network,
            (histogram, states),
            out,
            input_names=["histogram", *names],
            output_names=["predictions", *(f"{name}_after" for name in names)],
            opset_version=_OPSET,
            dynamo=False,
        )
    return out.getvalue()


@contextmanager
def _quiet() -> Iterator[None]:
    """Shapes are constant here, which is all that tracing warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _example(network: RvtNetwork) -> tuple[Tensor, list[Tensor]]:
    """An input of the network's shape, and states."""
    configuration = network.configuration
    size = configuration.input_size
    states = network.first_states()
    return states[0].new_zeros((1, configuration.channels, size.height, size.width)), states


BACKENDS: dict[str, Callable[..., _Inference]] = {
    _EAGER: _eager,
    _TRACED: _traced,
    _OPENVINO: _openvino,
    "onnxruntime": _onnxruntime,
    _CUDA: _cuda,
}
"""Ways to run a network, by name."""
