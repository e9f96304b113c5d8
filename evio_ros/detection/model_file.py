"""Model files: weights with the configuration of their network, which cannot run code.

A model file is a safetensors file (github.com/huggingface/safetensors): a JSON header and plain
numbers. The configuration is in its metadata under `evio_ros.rvt`; weights have the published
names. Published checkpoints of PyTorch Lightning are pickles, which can run arbitrary code: only
tensors are read from them, and a file that refers to anything but tensors and training settings is
refused.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from evio_ros.atomic_file import atomic_file
from evio_ros.detection.rvt_configuration import GEN1, GEN4, VARIANTS, RvtConfiguration
from evio_ros.errors import ParameterError, SourceError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "configuration_of_weights",
    "read_checkpoint",
    "read_configuration",
    "read_model",
    "write_model",
]

_METADATA_KEY = "evio_ros.rvt"
_PREFIX = "mdl."
"""Prefix of the names of weights in a published checkpoint."""
_SETTINGS = re.compile(
    r"(omegaconf|pytorch_lightning|lightning|lightning_fabric|typing|pathlib)\.[\w.]+"
    r"|builtins\.(dict|list|tuple|set|int|float|str|bool|complex|bytearray)"
    r"|collections\.(OrderedDict|defaultdict)"
    r"|numpy(\.\w+)*\.(scalar|dtype|ndarray|_reconstruct)"
)
"""Globals that training settings refer to. None of them is imported or called: an inert object
replaces each."""
_STEM = "backbone.stages.0.downsample_cf2cl.conv.weight"
_CLASSES = "yolox_head.cls_preds.0.weight"
_INPUTS = {len(one.classes): one for one in (GEN1, GEN4)}
"""The published configurations by their number of classes, which identifies them."""


def read_configuration(path: str | PathLike[str]) -> RvtConfiguration:
    """Read the configuration of a model file, without its weights.

    Raises:
        SourceError: if the file is missing or is not a model file.
    """
    with _opened(path, "np") as file:
        return _configuration(path, file.metadata())


def read_model(path: str | PathLike[str]) -> tuple[RvtConfiguration, dict[str, Tensor]]:
    """Read a model file.

    Returns:
        The configuration, and the weights by their published names, float32.

    Raises:
        SourceError: if the file is missing or is not a model file.
    """
    with _opened(path, "pt") as file:
        configuration = _configuration(path, file.metadata())
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return configuration, {
        name: value.float() if value.is_floating_point() else value
        for name, value in weights.items()
    }


@contextmanager
def _opened(path: str | PathLike[str], framework: str) -> Iterator[Any]:
    """Open a safetensors file for reading."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise ParameterError(
            f"model files are read by safetensors: pip install 'evio_ros[rvt]' ({error})"
        ) from error
    try:
        with safe_open(fspath(path), framework=framework) as file:
            yield file
    except FileNotFoundError as error:
        raise SourceError(path, "no such file") from error
    except (OSError, SafetensorError) as error:
        raise SourceError(
            path, f"not a safetensors file ({error}); checkpoints are read by `evio models import`"
        ) from error


def _configuration(
    path: str | PathLike[str], metadata: Mapping[str, str] | None
) -> RvtConfiguration:
    text = (metadata or {}).get(_METADATA_KEY)
    if text is None:
        raise SourceError(
            path, f"its metadata has no {_METADATA_KEY}: it was not written by evio_ros"
        )
    try:
        return RvtConfiguration.from_text(text)
    except ParameterError as error:
        raise SourceError(path, str(error)) from error


def write_model(
    path: str | PathLike[str], configuration: RvtConfiguration, weights: dict[str, Tensor]
) -> None:
    """Write a model file; weights keep their type, e.g. float16 for a small file.

    Raises:
        SourceError: if the file cannot be written.
    """
    from safetensors.torch import save

    plain = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    with atomic_file(path) as file:
        file.write(save(plain, {_METADATA_KEY: configuration.to_text()}))


def read_checkpoint(path: str | PathLike[str]) -> dict[str, Tensor]:
    """Read the weights of a published checkpoint, by their names without the prefix.

    Raises:
        SourceError: if the file is missing, is not a checkpoint, refers to code, or has no weights.
    """
    import pickle

    import torch

    name = fspath(path)
    try:
        unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(name)
        refused = sorted(one for one in unsafe if not _SETTINGS.fullmatch(one))
        if refused:
            raise SourceError(
                path,
                f"refused: it asks to run {', '.join(refused[:3])}; "
                "a checkpoint holds tensors and settings",
            )
        stand_ins = [(type("Setting", (_Setting,), {}), one) for one in unsafe]
        with torch.serialization.safe_globals(stand_ins):
            content = torch.load(name, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise SourceError(path, "no such file") from error
    except (
        AttributeError,
        EOFError,
        KeyError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(path, f"not a PyTorch checkpoint, or a broken one: {reason}") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    weights = {
        key.removeprefix(_PREFIX): value
        for key, value in (state.items() if isinstance(state, dict) else ())
        if isinstance(key, str) and isinstance(value, torch.Tensor)
    }
    if not weights:
        raise SourceError(path, "it contains no weights")
    return weights


class _Setting:
    """Inert replacement for an object of the training settings."""

    def __new__(cls, *_: object) -> _Setting:
        return super().__new__(cls)

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


def configuration_of_weights(
    weights: dict[str, Tensor],
    classes: tuple[str, ...] | None = None,
    input_of: RvtConfiguration | None = None,
) -> RvtConfiguration:
    """Configuration of a published checkpoint, from the shapes of its weights and as published.

    Args:
        weights: see `read_checkpoint`.
        classes: names of the classes; None for those of the published network with the same number.
        input_of: a network with the same input; None for the published one with the same number of
            classes.

    Raises:
        ParameterError: if the weights are not of an RVT network, or classes or input must be
            specified.
    """
    stem, predicted = weights.get(_STEM), weights.get(_CLASSES)
    if stem is None or predicted is None:
        raise ParameterError(f"weights without {_STEM} or {_CLASSES} are not of an RVT network")
    by_width = {variant.embedding: name for name, variant in VARIANTS.items()}
    variant = by_width.get(int(stem.shape[0]))
    if variant is None:
        raise ParameterError(
            f"a first stage of {stem.shape[0]} channels is of none of "
            f"{', '.join(f'{name} ({one.embedding})' for name, one in VARIANTS.items())}"
        )
    number = int(predicted.shape[0])
    like = input_of or _INPUTS.get(number)
    if like is None:
        raise ParameterError(
            f"a network with {number} classes: specify the input it was trained with"
        )
    names = classes or like.classes
    if len(names) != number:
        raise ParameterError(f"{len(names)} classes are named, but the network has {number}")
    return RvtConfiguration(
        variant=variant,
        classes=names,
        input_size=like.input_size,
        partition_split=like.partition_split,
        downsample=like.downsample,
        bins=int(stem.shape[1]) // 2,
        cutoff=like.cutoff,
        window_us=like.window_us,
    )
