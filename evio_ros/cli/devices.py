"""`evio devices`: list the connected live cameras."""

from __future__ import annotations

import typer

__all__ = ["devices"]


def devices() -> None:
    """List the connected cameras, and the URI of each."""
    from evio_ros.sources.cameras.camera_device import (
        MODELS,
        UDEV_COMMAND,
        bias_names,
        list_cameras,
    )

    cameras = list_cameras()
    if not cameras:
        typer.echo(f"no camera is connected; supported are {', '.join(MODELS)}")
    for camera in cameras:
        source = f"camera:{camera.model}" + (f"?serial={camera.serial}" if camera.serial else "")
        typer.echo(f"{source}  {camera.name}, {camera.connection}")
        if camera.model:
            typer.echo(f"    biases: {', '.join(bias_names(camera.model))}")
        if camera.error:
            typer.echo(f"    cannot be opened: {camera.error}")
    typer.echo(f"If a camera cannot be opened, install its udev rules: {UDEV_COMMAND}")
