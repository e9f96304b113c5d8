"""The `evio` command: registers a command per module and turns errors into one line each."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from io import TextIOWrapper

import typer

from evio_ros import __version__
from evio_ros.cli.analyze import analyze
from evio_ros.cli.compile import compile_all
from evio_ros.cli.convert import convert
from evio_ros.cli.demo import demo
from evio_ros.cli.detect import detect
from evio_ros.cli.devices import devices
from evio_ros.cli.evaluate import evaluate
from evio_ros.cli.info import info
from evio_ros.cli.interruption import end_message, unwinding
from evio_ros.cli.models import models
from evio_ros.cli.render import render
from evio_ros.cli.simulate import simulate
from evio_ros.cli.train import train
from evio_ros.cli.train_confidence import train_confidence
from evio_ros.cli.view import view
from evio_ros.errors import EvioError, reason_of

__all__ = ["main"]

_EXIT_ERROR = 2
_SIGNAL_EXIT_CODE = 128
"""Offset of the exit code of a program that a signal ends, added to the signal's number."""
_OLDEST_TYPER = (0, 16)

app = typer.Typer(
    name="evio",
    help="Measure rotation with an event camera.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for verb in (
    analyze,
    view,
    info,
    convert,
    render,
    simulate,
    demo,
    detect,
    devices,
    train,
    evaluate,
):
    app.command()(verb)
app.command("compile")(compile_all)
app.command("train-confidence")(train_confidence)
app.add_typer(models, name="models")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"evio {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False,
        "--version",
        help="Print the version and exit.",
        callback=_print_version,
        is_eager=True,
    ),
) -> None:
    pass


def main() -> None:
    """Run `evio` and exit.

    Exit code 0 for success, 2 for a user's error, 130 for Ctrl-C, 143 for SIGTERM, 1 if the reader
    of the output has closed it (`evio ... | head`).
    """
    if sys.stdout is None:  # closed by the caller
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal whose encoding has no bars and boxes shows question marks instead.
        sys.stdout.reconfigure(errors="replace")
    code = _run()
    if code > _SIGNAL_EXIT_CODE:
        # The interpreter would finalise interrupted objects, which may fail.
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    try:
        with unwinding():
            code = _run_app()
            sys.stdout.flush()
    except EvioError as error:
        try:
            sys.stdout.flush()
        except OSError:  # typically a file that cannot be read or written
            _discard_output()
        return _fail(str(error))
    except SystemExit as end:  # raised by a signal
        code = _code_of(end)
    except OSError as error:
        _discard_output()
        return _fail(f"{error.filename or 'standard output'}: {reason_of(error)}")
    if code > _SIGNAL_EXIT_CODE:
        return _fail(end_message(code - _SIGNAL_EXIT_CODE), code)
    return code


def _run_app() -> int:
    found = version("typer")
    if tuple(map(int, found.split(".")[:2])) < _OLDEST_TYPER:
        raise EvioError(f"typer 0.16 or newer is needed, not {found}: pip install 'typer >= 0.16'")
    try:
        app(prog_name="evio")
    except SystemExit as end:
        return _code_of(end)
    return 0


def _code_of(end: SystemExit) -> int:
    return end.code if isinstance(end.code, int) else 0


def _discard_output() -> None:
    """Keep the interpreter from writing buffered output again, which would fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(text: str, code: int = _EXIT_ERROR) -> int:
    print(f"evio: {text}", file=sys.stderr, flush=True)
    return code
