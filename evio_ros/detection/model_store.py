"""Folders and names of model files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from evio_ros.detection.model_file import (
    configuration_of_weights,
    read_checkpoint,
    read_configuration,
    write_model,
)
from evio_ros.detection.rvt_configuration import RvtConfiguration
from evio_ros.errors import ParameterError, SourceError, reason_of

__all__ = ["find_model", "import_checkpoint", "model_folders", "path_of_import", "stored_models"]

_SUFFIX = ".safetensors"
_OWN_FOLDER = Path(__file__).with_name("models")


@dataclass(frozen=True, slots=True)
class _StoredModel:
    """A model file.

    Attributes:
        name: name by which it is selected.
        path: path of the file.
        configuration: configuration of its network.
    """

    name: str
    path: Path
    configuration: RvtConfiguration


def model_folders() -> list[Path]:
    """Folders with model files: the user's own, then that of the package."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return [Path(data) / "evio_ros" / "models", _OWN_FOLDER]


def stored_models() -> list[_StoredModel]:
    """All model files in the folders, sorted by name; unreadable files are skipped."""
    found: dict[str, _StoredModel] = {}
    for folder in model_folders():
        for path in sorted(folder.glob(f"*{_SUFFIX}")):
            try:
                configuration = read_configuration(path)
            except SourceError:
                continue
            found.setdefault(path.stem, _StoredModel(path.stem, path, configuration))
    return [found[name] for name in sorted(found)]


def find_model(name: str) -> Path:
    """Find a model file by name or path.

    Args:
        name: name or path; empty for the first model of the package or, failing that, of the user.

    Raises:
        SourceError: if there is none.
    """
    if not name:
        return _default_model()
    path = Path(name).expanduser()
    if path.suffix == _SUFFIX or path.parent != Path("."):
        if path.exists():
            return path
        raise SourceError(name, "no such model file")
    for folder in model_folders():
        stored = folder / f"{name}{_SUFFIX}"
        if stored.exists():
            return stored
    known = ", ".join(model.name for model in stored_models()) or "none"
    raise SourceError(
        name, f"no model of this name; known: {known}; `evio models import` adds checkpoints"
    )


def _default_model() -> Path:
    paths = [model.path for model in stored_models()]
    ours = [path for path in paths if path.parent == _OWN_FOLDER]
    for path in (*ours, *paths):
        return path
    raise SourceError(
        "model", "none is named, and none is stored; `evio models import` adds checkpoints"
    )


def path_of_import(checkpoint: str | PathLike[str], name: str | None = None) -> Path:
    """The file that `import_checkpoint` writes; arguments as there.

    Raises:
        ParameterError: if the name is not a plain file name.
    """
    name = name or Path(checkpoint).stem
    if not name or Path(name).name != name or name.startswith("."):
        raise ParameterError(f"name: {name!r} is not a plain file name")
    return model_folders()[0] / f"{name}{_SUFFIX}"


def import_checkpoint(
    checkpoint: str | PathLike[str],
    name: str | None = None,
    classes: tuple[str, ...] | None = None,
    half: bool = False,
) -> _StoredModel:
    """Convert a published checkpoint to a model file in the user's own folder.

    Args:
        checkpoint: a PyTorch Lightning checkpoint; nothing in it is executed.
        name: name of the model; None for that of the file.
        classes: names of its classes; None for those of the published network with the same number.
        half: whether to store the weights as float16, in half the space.

    Raises:
        SourceError: if the checkpoint cannot be used, or the model file cannot be written.
        ParameterError: if its weights are not of an RVT network, the name is invalid, or PyTorch is
            missing.
    """
    try:
        from evio_ros.detection.rvt_network import RvtNetwork
    except ImportError as error:
        raise ParameterError(
            f"checkpoints are read by PyTorch: pip install 'evio_ros[rvt]' ({error})"
        ) from error

    path = path_of_import(checkpoint, name)
    weights = read_checkpoint(checkpoint)
    configuration = configuration_of_weights(weights, classes)
    # Refuse weights that do not fit now, not when a robot starts.
    RvtNetwork(configuration).load_published(weights)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(path.parent, reason_of(error)) from error
    if half:
        weights = {
            key: value.half() if value.is_floating_point() else value
            for key, value in weights.items()
        }
    write_model(path, configuration, weights)
    return _StoredModel(path.stem, path, configuration)
