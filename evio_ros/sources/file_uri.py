"""Paths of recordings that are given as URIs."""

from __future__ import annotations

from urllib.parse import unquote

__all__ = ["SCENE_SCHEME", "path_of"]

SCENE_SCHEME = "scene:"
"""Prefix of the names of scenes that a simulation makes recordings of."""
_SCHEME = "file://"
_LOCALHOST = "localhost/"
"""The only host that RFC 8089 allows before a path on this machine."""


def path_of(name: str) -> str:
    """The path of a URI such as `file:///tmp/with%20space.csv`; anything else is unchanged.

    Options after the path, such as `?topic=/events`, stay there.
    """
    if not name.startswith(_SCHEME):
        return name
    path = name.removeprefix(_SCHEME)
    if path.startswith(_LOCALHOST):
        path = path[len(_LOCALHOST) - 1 :]
    # File names need not be UTF-8.
    return unquote(path, errors="surrogateescape")
