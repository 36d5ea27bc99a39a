"""The commands of a study that stations share, `join`, `stations` and `upgrade`; thin, as those of `brainloop.cli`."""

from pathlib import Path
from typing import Annotated

import typer

from brainloop.terminal import out

__all__ = ["add_commands"]

StudyFolder = Annotated[Path, typer.Argument(metavar="STUDY", help="The study's folder.")]


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    for command in (join, stations, upgrade):
        app.command()(command)


def join(
    folder: StudyFolder,
    store: Annotated[str, typer.Argument(metavar="URL", help="The study's database: postgresql://HOST/DATABASE.")],
    images: Annotated[Path | None, typer.Option(help="Where the images lie on this machine, if elsewhere.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Where the backbone lies on this machine, if elsewhere.")] = None,
    recordings: Annotated[
        list[Path] | None, typer.Option(help="Where the recordings to replay lie on this machine, if elsewhere.")
    ] = None,
) -> None:
    """Make a folder for another station of a study that is shared."""
    from brainloop.study import Study

    here = {"images": images, "backbone": backbone, "recordings": tuple(recordings) if recordings else None}
    study = Study.join(folder, store, **{name: value for name, value in here.items() if value is not None})
    others = [one.name for one in study.store.stations()]
    out.print(f"{folder} has joined {study.store.name}: {len(study.store.looks().image)} looks so far.")
    if others:
        out.print(f"Stations so far: {', '.join(others)}")
    how = "studio" if study.settings.observer == "live" else "run"
    out.print(f"Next: brainloop {how} {folder} --station NAME")


def stations(folder: StudyFolder) -> None:
    """List the stations of a study that is shared, and what each has done."""
    from brainloop.study import Study

    found = Study.open(folder).store.stations()
    if not found:
        out.print("No station has been here yet.")
        return
    width = max(len("station"), *(len(one.name) for one in found))
    wide = max(len("person"), *(len(one.person) for one in found))
    out.print(f"{'station':{width}}  {'person':{wide}}  there  last seen   looks   clock")
    for one in found:
        out.print(
            f"{one.name:{width}}  {one.person or '-':{wide}}  {'yes' if one.alive else 'no':5}  {one.seen:7.0f} s  "
            f"{one.looks:6d}  {one.clock_offset:+5.1f} s"
        )


def upgrade(folder: StudyFolder) -> None:
    """Bring the store of a study that an older brainloop made to what this one expects; nothing in it is lost."""
    from brainloop.settings import Settings
    from brainloop.store import Store

    Store(Settings.load(folder / "study.toml").store or folder / "store.sqlite").upgrade()
    out.print(f"{folder}: the store is up to date.")
