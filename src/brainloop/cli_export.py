"""The command `export`; thin, as those of `brainloop.cli`."""

from pathlib import Path
from typing import Annotated

import typer

from brainloop.terminal import bar, out

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Put the commands where `brainloop.cli` keeps all of them."""
    app.command("export")(export)


def export(
    folder: Annotated[Path, typer.Argument(metavar="STUDY", help="The study's folder.")],
    what: Annotated[
        list[str] | None, typer.Option(help="What to write; repeat for several. Without any, what there is is listed.")
    ] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Where to; the study's folder `exports` by default.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there already.")] = False,
) -> None:
    """Write labels, model or EEG of a study in the formats of other tools."""
    from brainloop.exports import WHAT, export_study
    from brainloop.study import Study

    study = Study.open(folder)
    if not what:
        width = max(map(len, WHAT))
        for name, line in WHAT.items():
            out.print(f"--what {name:{width}}  {line}")
        return
    with bar("exporting") as progress:
        written = export_study(study, to or folder / "exports", what, force=force, progress=progress)
    for path in written:
        out.print(f"{path}")
        for left_out in sorted(path.rglob("left-out.csv")):
            out.print(f"  some images could not be copied: {left_out} names them")
