"""`evio simulate`: create a recording whose truth is known."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from evio_ros.cli.outputs import STANDARD_OUTPUT, Overwrite, check_outputs
from evio_ros.errors import ParameterError

__all__ = ["simulate"]


def _list_scenes(wanted: bool) -> None:
    if not wanted:
        return
    from rich.console import Console
    from rich.table import Table

    from evio_ros.simulation.presets import PRESETS, REALISTIC_PRESETS, preset

    table = Table("scene", "length", "what it shows", title="scenes of evio simulate")
    for name in (*PRESETS, *REALISTIC_PRESETS):
        chosen = preset(name)
        table.add_row(name, f"{chosen.duration_s:g} s", chosen.description)
    Console().print(table)
    raise typer.Exit


def simulate(
    scene: Annotated[
        str, typer.Argument(help="The scene; --list shows all.", metavar="SCENE")
    ] = "fan_constant",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The recording to write; its ending gives the format, as for evio convert.",
            show_default="SCENE.dat",
        ),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(help="Length in seconds.", show_default="the scene's own")
    ] = None,
    rpm: Annotated[
        float | None,
        typer.Option(
            help="Speed of the first rotor in rpm; the others are scaled by the same factor.",
            show_default="the scene's own",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.", min=0)] = 0,
    list_scenes: Annotated[
        bool,
        typer.Option("--list", help="List the scenes.", callback=_list_scenes, is_eager=True),
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Simulate an event camera that sees a SCENE.

    Writes a recording, and beside it NAME.truth.json with the exact motion of every rotor.

    Example: evio simulate drone_idle --duration 1 --output drone.dat
    """
    from evio_ros.cli.progress import progress_bar
    from evio_ros.playback.simulated_recording import record
    from evio_ros.simulation.presets import preset
    from evio_ros.simulation.truth import truth_path
    from evio_ros.sources.writers.registry import format_of

    chosen = preset(scene, duration, rpm)
    chosen = replace(chosen, camera=chosen.camera.replaced({"seed": seed}))
    path = output or Path(f"{scene}.dat")
    if str(path) == STANDARD_OUTPUT:
        raise ParameterError("--output: the truth lies beside the recording, so name a file, not -")
    form = format_of(str(path)) if path.suffix else "dat"
    check_outputs([path, truth_path(path)], overwrite)
    started = time.monotonic()
    with progress_bar(scene, round(chosen.duration_s * 1e6)) as advance:
        events = record(chosen, path, advance, form)
    count = len(chosen.scene.rotors)
    rotors = "1 rotor" if count == 1 else f"{count} rotors"
    typer.echo(
        f"{path}: {events} events in {chosen.duration_s:g} s at {chosen.camera.size}, "
        f"{rotors} ({time.monotonic() - started:.1f} s to simulate)"
    )
    typer.echo(f"{truth_path(path)}: the exact motion")
