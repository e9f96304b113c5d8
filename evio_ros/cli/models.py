"""`evio models`: networks that detect objects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evio_ros.cli.outputs import Overwrite, check_outputs

__all__ = ["models"]

models = typer.Typer(help="List and import networks that detect objects.", no_args_is_help=True)


@models.command("list")
def list_models() -> None:
    """List the available models: name, network, input, classes, file."""
    from evio_ros.detection.model_store import model_folders, stored_models

    found = stored_models()
    for model in found:
        one = model.configuration
        typer.echo(
            f"{model.name}  {one.variant}, {one.input_size}, {', '.join(one.classes)}  {model.path}"
        )
    if not found:
        folders = ", ".join(map(str, model_folders()))
        typer.echo(f"no model in {folders}; `evio models import CHECKPOINT` adds one")


@models.command("import")
def import_model(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT", help="A published checkpoint (.ckpt).", show_default=False
        ),
    ],
    name: Annotated[
        str | None, typer.Option(help="Name of the new model.", show_default="the checkpoint's")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            help="Names of the classes in the network's order, separated by commas.",
            show_default="those of the published networks",
        ),
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Store weights as float16, which halves the size.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Convert CHECKPOINT to a model file. No code in the checkpoint is run.

    Example: evio models import rvt-t.ckpt --name gen1 --half
    """
    from evio_ros.detection.model_store import import_checkpoint, path_of_import

    check_outputs([path_of_import(checkpoint, name)], overwrite)
    named = tuple(one.strip() for one in classes.split(",")) if classes else None
    model = import_checkpoint(checkpoint, name, named, half)
    one = model.configuration
    typer.echo(
        f"{model.name}: {one.variant} network, input {one.input_size}, classes "
        f"{', '.join(one.classes)}; written to {model.path}"
    )
