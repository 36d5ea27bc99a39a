"""The studio's command; thin, as those of `brainloop.cli`."""

from pathlib import Path
from typing import Annotated

import typer

from brainloop.terminal import out

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command()(studio)


def studio(
    study: Annotated[Path | None, typer.Argument(metavar="[STUDY]", help="A study to open; it can wait.")] = None,
    home: Annotated[
        Path | None, typer.Option(help="The folder of studies; that of STUDY, or the current one, by default.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; other machines reach only others than this.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any that is free.")] = 0,
    markers: Annotated[
        str | None,
        typer.Option(
            help="LSL markers of your own presentation software, which shows the images in place of the page."
        ),
    ] = None,
    station: Annotated[
        str | None, typer.Option(help="This station's name, where several share the study; the machine's by default.")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it in a browser.")] = True,
) -> None:
    """Open the studio: headset, calibration, looking and results, on a page of your browser."""
    from brainloop.studio.server import serve

    folder = home or (study.resolve().parent if study else Path())
    serve(folder, study and study.resolve(), markers, station, host=host, port=port, browse=browser, told=out.print)
