"""The commands `fuse` and `bench fusion`; thin, as those of `brainloop.cli`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from brainloop.errors import SettingsError
from brainloop.terminal import bar, err, out

if TYPE_CHECKING:
    from brainloop.uses.fusion import Fusion

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command()(fuse)


def fuse(
    folder: Annotated[Path, typer.Argument(metavar="STUDY", help="The study's folder.")],
    path: Annotated[Path, typer.Option("--out", help="A .csv or .parquet file.")] = Path("fused.csv"),
    method: Annotated[
        Literal["late", "stacked", "joint"],
        typer.Option(help="late adds the two up; stacked and joint learn from the images of known class."),
    ] = "late",
    plot: Annotated[Path | None, typer.Option(help="A .png file: ROC curves, and what the two say.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Combine classifier and brain for each image that was looked at."""
    from brainloop.exports.fusion_table import check_path, write_fusion
    from brainloop.study import Study
    from brainloop.uses.fusion import fuse as combine

    check_path(path, force=force)
    if plot is not None and plot.suffix != ".png":
        raise SettingsError(f"expected a picture that ends in .png; {plot.name!r} came")
    if plot is not None and plot.exists() and not force:
        raise SettingsError(f"{plot} is there already; name another file, or replace it with --force")
    study = Study.open(folder)
    with bar("embedding") as progress:
        study.data(progress)
    with bar("fusing") as progress:
        fusions = combine(study, method, progress=progress)
    write_fusion(fusions, path, force=force)
    for one in fusions:
        _say(one)
    out.print(f"{path}: {sum(len(one.paths) for one in fusions)} rows")
    if plot is not None:
        from brainloop.report.fusion_figure import save_fusion

        drawn = next((one for one in fusions if one.auc is not None), fusions[0])
        save_fusion(drawn, plot)
        out.print(f"{plot}: {drawn.target}")


def _say(fusion: "Fusion") -> None:
    n = len(fusion.paths)
    if fusion.auc is None:
        err.print(f"{fusion.target}: {n} images were looked at; too few of them are of known class to measure an AUC")
        return
    out.print(
        f"{fusion.target}: {n} images were looked at, {fusion.known.sum()} of them of known class; "
        f"AUC out of fold by image, {fusion.method}:"
    )
    for name, auc in fusion.auc.items():
        out.print(f"  {name:10}  {auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}]")
