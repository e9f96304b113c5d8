"""The `evio` command: registers one verb per module and turns errors into one line each."""

from __future__ import annotations

import os
import sys

import typer

from evio_ros import __version__
from evio_ros.cli.analyze import analyze
from evio_ros.cli.demo import demo
from evio_ros.cli.info import info
from evio_ros.cli.simulate import simulate
from evio_ros.errors import EvioError

__all__ = ["app", "main"]

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="evio",
    help="Measure rotation with an event camera.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for verb in (analyze, info, simulate, demo):
    app.command()(verb)


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
    """Run `evio`; exit code 0 for success, 2 for a user's error, 130 for Ctrl-C."""
    try:
        app()
    except EvioError as error:
        sys.exit(_fail(str(error)))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader has gone (`evio ... | head`); keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        sys.exit(_fail(f"{error.filename or 'evio'}: {error.strerror or error}"))


def _fail(text: str) -> int:
    print(f"evio: {text}", file=sys.stderr)
    return EXIT_ERROR
