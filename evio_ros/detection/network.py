"""Opening a network by name."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from glob import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from evio_ros.atomic_file import atomic_file
from evio_ros.detection.inference import (
    BACKENDS,
    Network,
    exports_to_try,
    inference_of,
    network_of_export,
)
from evio_ros.detection.model_file import read_configuration, read_model
from evio_ros.detection.model_store import find_model
from evio_ros.errors import ParameterError, SourceError
from evio_ros.parameters import Parameters, parameter

__all__ = ["NetworkParameters", "open_network"]


_EXPORT_FORM = "1"
"""Version of exported networks: change it with `rvt_network` or the export, to invalidate old
ones."""


@dataclass(frozen=True)
class NetworkParameters(Parameters):
    """Which network is run, and by which backend."""

    model: str = parameter(
        "",
        read_only=True,
        doc="Name or file of the network, see `evio models list`; empty for the one that comes "
        "with the package, or else the first imported one.",
    )
    backend: str = parameter(
        "auto",
        choices=("auto", *BACKENDS),
        read_only=True,
        doc="Inference backend; auto takes the fastest one that is installed and works.",
    )
    threads: int = parameter(
        0,
        minimum=0,
        maximum=256,
        read_only=True,
        doc="Number of CPU threads; 0 lets the backend choose.",
    )


def open_network(parameters: NetworkParameters) -> tuple[str, Network]:
    """Find a model file and make its network ready to run, which takes at least a second.

    A network exported for OpenVINO or ONNX Runtime is cached in `$XDG_CACHE_HOME/evio_ros`, by
    default `~/.cache/evio_ros`, so that PyTorch need not be loaded the next time.

    Returns:
        The model's name, and the network.

    Raises:
        SourceError: if there is no such model, or its file cannot be used.
        ParameterError: if its weights do not fit, or a library is missing.
    """
    path = find_model(parameters.model)
    exports = exports_to_try(parameters.backend)
    kept = _kept_export(path) if exports else None
    for backend in exports:
        # A cached export may be broken; then it is made anew.
        with suppress(OSError, ParameterError):
            if kept is not None:
                exported = kept.read_bytes()
                return path.stem, network_of_export(
                    read_configuration(path), exported, backend, parameters.threads
                )

    def keep(exported: bytes) -> None:
        # If it cannot be cached, the next start merely takes longer.
        with suppress(OSError, SourceError):
            if kept is not None:
                _keep(kept, exported)

    return path.stem, inference_of(*read_model(path), parameters.backend, parameters.threads, keep)


def _kept_export(path: Path) -> Path | None:
    """Cache file of a model's exported network; None if its name cannot be determined."""
    try:
        versions = [version(name) for name in ("torch", "evlib")]
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, PackageNotFoundError):
        return None
    about = " ".join([_EXPORT_FORM, content, *versions])
    digest = hashlib.sha256(about.encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "evio_ros" / "networks" / f"{path.stem}-{digest}.onnx"


def _keep(kept: Path, exported: bytes) -> None:
    """Cache an exported network, and delete older ones of the same model."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    name = kept.stem.rpartition("-")[0]
    for old in kept.parent.glob(f"{escape(name)}-{'?' * 16}.onnx"):
        old.unlink(missing_ok=True)
    with atomic_file(kept) as file:
        file.write(exported)
