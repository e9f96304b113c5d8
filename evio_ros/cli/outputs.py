"""Which files a command may replace: tables and pictures, but no recording or model unasked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from evio_ros.errors import EvioError, ParameterError

__all__ = ["STANDARD_OUTPUT", "Overwrite", "check_outputs", "check_results"]

Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace output files and bags that already exist.")
]

STANDARD_OUTPUT = "-"


def check_outputs(
    outputs: Sequence[str | Path | None], overwrite: bool, recordings: Sequence[str] = ()
) -> None:
    """Check that the outputs of a command may be written, before it begins to work.

    Devices and pipes are always written to.

    Args:
        outputs: paths to be written, `-` for standard output, None for none.
        overwrite: whether files and bags that exist may be replaced.
        recordings: paths of the recordings that are read, which are never replaced.

    Raises:
        ParameterError: if an output is such a recording or a folder that contains one, is given
            twice, or exists and may not be replaced.
    """
    kept = [os.path.realpath(recording) for recording in recordings]
    taken = set(kept)
    for output in outputs:
        if output is None:
            continue
        place = output if output == STANDARD_OUTPUT else os.path.realpath(output)
        # Writing a bag replaces its folder, which may contain the recording.
        if place in taken or any(whole.startswith(f"{place}{os.sep}") for whole in kept):
            raise ParameterError(f"{output}: would overwrite the recording or another output")
        taken.add(str(place))
        if not overwrite and output != STANDARD_OUTPUT and _is_kept(output):
            raise ParameterError(f"{output}: exists already; --overwrite replaces it")


def check_results(results: Sequence[str | Path | None], recordings: Sequence[str]) -> None:
    """Check that tables and pictures may be written, before the command begins to work.

    They replace what exists, as a command can make them again, but never a recording.

    Args:
        results, recordings: as outputs and recordings of `check_outputs`.

    Raises:
        ParameterError: if one of them is a recording, or is given twice.
    """
    from evio_ros.sources.registry import open_recording

    check_outputs(results, overwrite=True, recordings=recordings)
    for result in results:
        if result is None or result == STANDARD_OUTPUT or not _is_kept(result):
            continue
        try:
            open_recording(result).close()
        except EvioError:
            continue
        raise ParameterError(f"{result}: is a recording, which would be lost; use another name")


def _is_kept(path: str | Path) -> bool:
    """Whether a path names a file or a bag, not a device, a pipe or nothing.

    Other folders are never replaced: writing them fails with the reason.
    """
    return os.path.isfile(path) or os.path.isfile(os.path.join(path, "metadata.yaml"))
