"""The benches of the uses: several classes, bad annotations, brain and vision together, review, driving, many."""

import sys
from collections.abc import Callable, Mapping
from json import dumps
from pathlib import Path
from shlex import join
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from brainloop.terminal import bar, out

__all__ = ["add_benches"]

Images = Annotated[Path, typer.Option(metavar="DIR", help="Photographs, in class folders.")]
Recordings = Annotated[list[Path], typer.Option(metavar="PATH...", help="Files or folders; one observer a person.")]
More = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[PATH]...", help="More recordings, after the first.", hidden=True, show_default=False),
]
Backbone = Annotated[str, typer.Option(help="As in `new`.")]
Seeds = Annotated[int, typer.Option(min=1, help="How many; each is a draw of all that is random.")]
FirstSeed = Annotated[int, typer.Option(min=0, help="The first of them.")]
Json = Annotated[Path, typer.Option("--json", help="Where the figures go; their tables are printed.")]


def add_benches(bench: typer.Typer) -> None:
    """Add the commands of this module to the bench."""
    for name, command in (
        ("classes", classes), ("audit", audit), ("fusion", fusion), ("review", review), ("drive", drive),
        ("scale", scale),
    ):  # fmt: skip
        bench.command(name)(command)


def classes(
    images: Images,
    recordings: Recordings,
    backbone: Backbone,
    json: Json,
    more: More = None,
    looks: Annotated[int, typer.Option(min=50, help="Over all classes.")] = 1500,
    seeds: Seeds = 3,
    first_seed: FirstSeed = 1000,
) -> None:
    """Tell several classes apart, each block looking for one; beside it, one classifier a class against the rest."""
    from brainloop.bench.classes import CHECKPOINTS, bench_classes
    from brainloop.bench.classes_markdown import tables

    stops = [*(stop for stop in CHECKPOINTS if stop < looks), looks]
    with TemporaryDirectory() as cache, bar("classes") as progress:
        figures = bench_classes(
            images, [*recordings, *(more or [])], backbone, seeds=range(first_seed, first_seed + seeds), looks=stops,
            cache=Path(cache), progress=progress,
        )  # fmt: skip
    _keep(figures, json, tables)


def audit(
    images: Images,
    recordings: Recordings,
    backbone: Backbone,
    json: Json,
    more: More = None,
    seeds: Seeds = 5,
    first_seed: FirstSeed = 1000,
) -> None:
    """Make annotations wrong on purpose; find them by classifier, by brain, by both, and by cleanlab."""
    from brainloop.bench.audit import bench_audit, prepare_audit
    from brainloop.bench.audit_markdown import tables

    with TemporaryDirectory() as cache:
        with bar("preparing") as progress:
            data = prepare_audit(images, [*recordings, *(more or [])], backbone, Path(cache), progress=progress)
        with bar("audits") as progress:
            figures = bench_audit(data, range(first_seed, first_seed + seeds), progress=progress)
    _keep(figures, json, tables)


def fusion(
    images: Images,
    recordings: Recordings,
    backbone: Backbone,
    json: Json,
    more: More = None,
    target: Annotated[str | None, typer.Option(help="The only class looked for; the first five, each in turn.")] = None,
    seeds: Seeds = 3,
    first_seed: FirstSeed = 1000,
) -> None:
    """Put image and EEG together, over a grid of qualities of both, with shuffled EEG beside it."""
    from brainloop.bench.fusion import bench_fusion
    from brainloop.bench.fusion_data import prepare_fusion
    from brainloop.bench.fusion_markdown import tables

    with TemporaryDirectory() as cache:
        with bar("preparing") as progress:
            data = prepare_fusion(
                images, [*recordings, *(more or [])], backbone, Path(cache), target=target, progress=progress
            )
        with bar("grids") as progress:
            figures = bench_fusion(data, range(first_seed, first_seed + seeds), progress=progress)
    _keep(figures, json, tables)


def review(
    images: Images,
    recordings: Recordings,
    backbone: Backbone,
    json: Json,
    more: More = None,
    seeds: Seeds = 3,
    first_seed: FirstSeed = 1000,
) -> None:
    """Sort streams of new images: by a model, by looks, by both, by hand."""
    from brainloop.bench.review import bench_review, review_settings
    from brainloop.bench.review_markdown import tables

    paths, chosen = [*recordings, *(more or [])], range(first_seed, first_seed + seeds)
    with TemporaryDirectory() as cache, bar("streams") as progress:
        figures = bench_review(images, paths, review_settings(backbone), chosen, Path(cache), progress=progress)
    _keep(figures, json, tables)


def drive(json: Json, seeds: Seeds = 5, first_seed: FirstSeed = 1000) -> None:
    """Train drivers with and without a brain, and find hazards in running EEG; all people are simulated."""
    from brainloop.bench.drive import bench_drive
    from brainloop.bench.drive_markdown import tables

    with bar("drives") as progress:
        figures = bench_drive(range(first_seed, first_seed + seeds), progress=progress)
    _keep(figures, json, tables)


def scale(
    json: Json,
    rows: Annotated[int, typer.Option(min=1000, help="Vectors that are scored; 10,000,000 take 26 GB of disk.")] = 10
    ** 6,
    only: Annotated[
        list[str] | None,
        typer.Option(help="A part: rows, ray, people, stations, costs or index; may repeat. All by default."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Photographs whose stages are timed. Generated ones by default."),
    ] = None,
    backbone: Annotated[str, typer.Option(help="As in `new`.")] = "builtin",
    seeds: Seeds = 10,
    first_seed: FirstSeed = 1000,
) -> None:
    """Score millions, share a study between stations and people, and compute what a billion images take."""
    from brainloop.bench.scale import bench_scale
    from brainloop.bench.scale_markdown import tables

    with TemporaryDirectory(prefix="brainloop-scale-") as folder:
        figures = bench_scale(
            Path(folder), rows=rows, seeds=range(first_seed, first_seed + seeds), only=only or [], images=images,
            backbone=backbone, bars=bar,
        )  # fmt: skip
    _keep(figures, json, tables)


def _keep(figures: Mapping[str, Any], path: Path, tables: Callable[[Mapping[str, Any]], str]) -> None:
    """Write a bench's figures to a file, with the command that made them, and print their tables."""
    from brainloop._files import write_whole

    figures = {**figures, "command": join(["brainloop", *sys.argv[1:]])}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (dumps(figures, indent=1, allow_nan=False) + "\n").encode())
    out.print(tables(figures))
