"""Paths of recordings that are named as URIs."""

from __future__ import annotations

from urllib.parse import unquote

__all__ = ["path_of"]

_SCHEME = "file://"
_HERE = "localhost/"
"""A host that may stand before the path, by RFC 8089; others are none of this machine."""


def path_of(name: str) -> str:
    """The path that a URI as `file:///tmp/with%20space.csv` names; anything else as it is.

    What may stand behind the path, as `?topic=/events`, stays there.
    """
    if not name.startswith(_SCHEME):
        return name
    path = name.removeprefix(_SCHEME)
    if path.startswith(_HERE):
        path = path[len(_HERE) - 1 :]
    # Names of files need not be UTF-8.
    return unquote(path, errors="surrogateescape")
