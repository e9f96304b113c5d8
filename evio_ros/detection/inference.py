"""Inference backends: PyTorch eager, traced or on CUDA, OpenVINO, ONNX Runtime.

All give the same results in float32; which is fastest depends on the machine. A step takes one
input and keeps the recurrent state for the next.
"""

from __future__ import annotations

import importlib.util
import io
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evio_ros.detection.onnx_inference import onnxruntime_of, openvino_of
from evio_ros.detection.rvt_configuration import RvtConfiguration
from evio_ros.errors import EvioError, ParameterError

if TYPE_CHECKING:
    from torch import Tensor

    from evio_ros.detection.rvt_network import RvtNetwork

__all__ = [
    "BACKENDS",
    "Network",
    "exports_to_try",
    "inference_of",
    "missing_packages",
    "network_of_export",
]

_Single = NDArray[np.float32]
_OPSET = 17
_PACKAGES = ("torch", "evlib", "safetensors", "norfair", "cv2")
_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""At least one of these device files exists where PyTorch can use a GPU."""
_CUDA, _EAGER, _OPENVINO, _TRACED = "cuda", "eager", "openvino", "traced"


class _Inference(Protocol):
    """A network with its recurrent state."""

    @property
    def states(self) -> list[_Single]:
        """Hidden and cell state of each stage in turn, (1, channels, rows, columns)."""
        ...

    def step(self, histogram: NDArray[np.uint8]) -> _Single:
        """Predictions (places, 5 + classes) for the next input (channels, rows, columns)."""
        ...

    def reset(self) -> None:
        """Reset the recurrent state."""
        ...


class Network:
    """A network ready to run, with the recurrent state of one stream of events.

    Args:
        configuration: the network.
        inference: the backend that runs it.
        backend: name of that backend.
        remark: which other backends were tried first, and why they failed; empty if none were.

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
        """Run the network on the next input.

        Args:
            histogram: uint8 (channels, rows, columns), the network's input.

        Returns:
            float32 (places, 5 + classes), see `RvtNetwork.forward`.

        Raises:
            EvioError: if the GPU is out of memory.
        """
        return self._inference.step(histogram)

    def features(self, stage: int) -> _Single:
        """Hidden state of a stage, 0 to 3: float32 (channels, rows, columns).

        A cell of stage s is 4 * 2**s pixels wide.
        """
        return self._inference.states[2 * stage][0]

    def reset(self) -> None:
        """Reset the recurrent state."""
        self._inference.reset()


def missing_packages() -> list[str]:
    """Packages needed by networks and tracks that are not installed."""
    return [name for name in _PACKAGES if importlib.util.find_spec(name) is None]


def inference_of(
    configuration: RvtConfiguration,
    weights: dict[str, Tensor],
    backend: str,
    threads: int = 0,
    keep: Callable[[bytes], None] = lambda _: None,
) -> Network:
    """Make a network ready to run.

    Args:
        configuration: the network.
        weights: weights by their published names.
        backend: a name in `BACKENDS`, or "auto" for the fastest one that is installed and works.
        threads: of the processor, 0 for the library's choice.
        keep: called with the exported network if the backend uses one, for `network_of_export`.

    Raises:
        ParameterError: if the backend is unknown, its library is missing or fails, or the weights
            do not fit the network.
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
            if name in _EXPORTED:
                exported = _exported(network)
                inference = _EXPORTED[name](exported, threads)
                keep(exported)
            else:
                inference = _TORCH[name](network)
            return _tried(Network(configuration, inference, name, "; ".join(failures)))
        # Third-party libraries raise all kinds of errors; another backend may still work.
        except Exception as error:
            failures.append(f"{name} cannot be used: {_first_line(error)}")
    raise ParameterError(f"backend: {'; '.join(failures)}")


def network_of_export(
    configuration: RvtConfiguration, exported: bytes, backend: str, threads: int = 0
) -> Network:
    """Make an exported network ready to run; PyTorch is not needed.

    Args:
        configuration: the network.
        exported: what `inference_of` has passed to `keep`.
        backend: one of `exports_to_try`.
        threads: of the processor, 0 for the library's choice.

    Raises:
        ParameterError: if the backend's library is missing or fails.
    """
    try:
        return _tried(Network(configuration, _EXPORTED[backend](exported, threads), backend))
    except Exception as error:
        raise ParameterError(f"backend: {backend} cannot be used: {_first_line(error)}") from error


def exports_to_try(backend: str) -> list[str]:
    """Backends whose exported network is worth keeping, for a name in `BACKENDS` or "auto"."""
    if backend != "auto":
        return [backend] if backend in _EXPORTED else []
    has_device = any(map(os.path.exists, _DEVICES))
    return [_OPENVINO] if importlib.util.find_spec(_OPENVINO) and not has_device else []


def _tried(network: Network) -> Network:
    """The network after one run, so that lazy initialisation is done."""
    network.step(np.zeros(_shape_of(network.configuration), np.uint8))
    network.reset()
    return network


def _shape_of(configuration: RvtConfiguration) -> tuple[int, int, int]:
    size = configuration.input_size
    return configuration.channels, size.height, size.width


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _backends_to_try() -> list[str]:
    """Backends in the order of measured speed; the last one always works."""
    import torch

    names = [_CUDA] if torch.cuda.is_available() else []
    names += [_OPENVINO] if importlib.util.find_spec("openvino") else []
    return [*names, _TRACED, _EAGER]


class _Torch:
    """PyTorch, eager or traced, on the CPU or a GPU."""

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
            raise EvioError(f"the CUDA device is out of memory: {_first_line(error)}") from error

    def reset(self) -> None:
        """See `_Inference.reset`."""
        self._states = self._network.first_states()


def _eager(network: RvtNetwork) -> _Inference:
    return _Torch(network, "cpu", network)


def _traced(network: RvtNetwork) -> _Inference:
    import torch

    with torch.inference_mode(), _quiet():
        traced = torch.jit.trace(network, _example(network), check_trace=False)
        return _Torch(network, "cpu", torch.jit.optimize_for_inference(torch.jit.freeze(traced)))


def _cuda(network: RvtNetwork) -> _Inference:
    import torch

    if not torch.cuda.is_available():
        raise ParameterError("PyTorch finds no CUDA device")
    return _Torch(network.cuda(), "cuda", network)


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
    """Suppress warnings of tracing about constant shapes, which are intended here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _example(network: RvtNetwork) -> tuple[Tensor, list[Tensor]]:
    """An example input and states for tracing."""
    configuration = network.configuration
    size = configuration.input_size
    states = network.first_states()
    return states[0].new_zeros((1, configuration.channels, size.height, size.width)), states


_TORCH: dict[str, Callable[[RvtNetwork], _Inference]] = {
    _EAGER: _eager,
    _TRACED: _traced,
    _CUDA: _cuda,
}
"""Backends that run a PyTorch network."""
_EXPORTED: dict[str, Callable[[bytes, int], _Inference]] = {
    _OPENVINO: openvino_of,
    "onnxruntime": onnxruntime_of,
}
"""Backends that run an exported network."""
BACKENDS = (*_TORCH, *_EXPORTED)
"""Names of all inference backends."""
