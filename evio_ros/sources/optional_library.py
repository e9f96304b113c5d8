"""Importing libraries that only some sources need and that may not be installed."""

from __future__ import annotations

import importlib
from types import ModuleType

from evio_ros.errors import SourceError

__all__ = ["optional_library"]


def optional_library(module: str, package: str, path: str) -> ModuleType:
    """Import a library.

    Args:
        module: name of the module.
        package: what to install with pip, such as an extra of this package.
        path: the recording that needs it, for the message.

    Raises:
        SourceError: if it is missing or broken; the message says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        reason = f"needs the library {module} ({error}); install it by: pip install '{package}'"
        raise SourceError(path, reason) from None
