"""A network by its name: found, read and made ready to run."""

from __future__ import annotations

from dataclasses import dataclass

from evio_ros.detection.inference import BACKENDS, Network, inference_of
from evio_ros.detection.model_file import read_model
from evio_ros.detection.model_store import find_model
from evio_ros.parameters import Parameters, parameter

__all__ = ["NetworkParameters", "open_network"]


@dataclass(frozen=True)
class NetworkParameters(Parameters):
    """What network is run, and by what."""

    model: str = parameter(
        "",
        read_only=True,
        doc="Name or file of the network, see `evio models list`; empty for the one that comes "
        "with the package, else the first that was imported.",
    )
    backend: str = parameter(
        "auto",
        choices=("auto", *BACKENDS),
        read_only=True,
        doc="What runs the network; auto takes the fastest that is installed and works.",
    )
    threads: int = parameter(
        0, minimum=0, maximum=256, read_only=True, doc="Of the processor; 0 for all that pay."
    )


def open_network(parameters: NetworkParameters) -> tuple[str, Network]:
    """Find a model file and make its network ready to run, which takes a second or more.

    Returns:
        The model's name, and the network.

    Raises:
        SourceError: where there is no such model, or its file cannot be used.
        ParameterError: where its weights do not fit, or a library is missing.
    """
    path = find_model(parameters.model)
    return path.stem, inference_of(*read_model(path), parameters.backend, parameters.threads)
