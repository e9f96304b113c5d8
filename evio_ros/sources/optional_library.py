"""Importing libraries that are installed only on request."""

from __future__ import annotations

import importlib
from types import ModuleType

from evio_ros.errors import SourceError

__all__ = ["optional_library"]


def optional_library(module: str, extra: str, path: str) -> ModuleType:
    """Import a library that an extra of this package brings.

    Args:
        module: name of the module.
        extra: the extra in setup.cfg.
        path: what it is needed for, for the message.

    Raises:
        SourceError: where it is not installed or broken; the text says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        reason = (
            f"needs the library {module} ({error}); install it by: pip install evio_ros[{extra}]"
        )
        raise SourceError(path, reason) from None
