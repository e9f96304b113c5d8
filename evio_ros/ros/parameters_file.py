"""Checking a file of ROS parameters, because ROS itself reports a mistake in eighty lines."""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from evio_ros.errors import EvioError

__all__ = [
    "misspelt_nodes",
    "names_source",
    "parameters_files",
    "read_parameters_file",
    "written_parameters",
]


def parameters_files(arguments: Sequence[str]) -> list[str]:
    """The files that a node's command line names."""
    return [value for option, value in pairwise(arguments) if option == "--params-file"]


def read_parameters_file(path: str) -> dict[str, Any]:
    """The content of a file of ROS parameters.

    Raises:
        EvioError: one line, if the file cannot be read or is not a file of parameters.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.safe_load(file)
    except OSError as error:
        raise EvioError(f"{path}: cannot be opened: {error.strerror}") from None
    except UnicodeDecodeError:
        raise EvioError(f"{path}: is not UTF-8 text") from None
    except yaml.YAMLError as error:
        raise EvioError(f"{path}:{_place_and_problem(error)}") from None
    if not isinstance(content, dict):
        raise EvioError(f"{path}: has no parameters; see config/evio.yaml for the format")
    for node, section in content.items():
        if not _is_section(section):
            raise EvioError(f"{path}: {node}: the key ros__parameters is missing below it")
    return content


def written_parameters(nodes: Mapping[str, Mapping[str, object]]) -> str:
    """A file of parameters that exists as long as this process, however that ends.

    Args:
        nodes: parameters by the nodes' names, whatever their namespace.
    """
    sections = {f"/**/{name}": {"ros__parameters": dict(given)} for name, given in nodes.items()}
    text = yaml.safe_dump(sections).encode()
    if hasattr(os, "memfd_create"):
        # Without a name in any folder: where this process is killed, nobody could remove it.
        descriptor = os.memfd_create("evio_parameters")
        os.write(descriptor, text)
        return f"/proc/{os.getpid()}/fd/{descriptor}"
    with tempfile.NamedTemporaryFile(
        prefix="evio_parameters_", suffix=".yaml", delete=False
    ) as file:
        file.write(text)
    atexit.register(Path(file.name).unlink, missing_ok=True)
    return file.name


def names_source(content: Mapping[str, Any]) -> bool:
    """Whether parameters name a source for a driver."""
    return any(
        bool((section["ros__parameters"] or {}).get("source"))
        if "ros__parameters" in section
        else names_source(section)
        for section in content.values()
    )


def misspelt_nodes(content: Mapping[str, Any], known: Collection[str]) -> list[str]:
    """Names in a file that are nearly those of nodes, as messages; ROS ignores them silently.

    Args:
        content: what the file says, which may concern nodes of other packages too.
        known: names of nodes.
    """
    found = []
    for key, section in content.items():
        name = key.rpartition("/")[2]
        if "ros__parameters" not in section:
            found += misspelt_nodes(section, known)
        elif name not in known and (meant := get_close_matches(name, known, n=1, cutoff=0.75)):
            found.append(f"{key}: not a node of this package; did you mean {meant[0]}?")
    return found


def _is_section(section: object) -> bool:
    """Whether this is what is below a node's name, or below a namespace."""
    if not isinstance(section, dict) or not section:
        return False
    return "ros__parameters" in section or all(map(_is_section, section.values()))


def _place_and_problem(error: yaml.YAMLError) -> str:
    """Line, column and problem on one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{mark.line + 1}:{mark.column + 1}: {error.problem}"
    return " " + " ".join(str(error).split())
