"""The bench's commands; thin, as those of `brainloop.cli`."""

import sys
from json import dumps
from pathlib import Path
from shlex import join
from typing import Annotated, Literal

import typer

from brainloop.cli_bench_uses import add_benches
from brainloop.terminal import bar, err, out, say_figures

__all__ = ["bench"]

ImageFolder = Annotated[Path, typer.Argument(metavar="IMAGES", help="A folder of images, class folders below it.")]

bench = typer.Typer(help="Measure; every figure in the documentation is printed by one of these.", no_args_is_help=True)
add_benches(bench)
Json = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file too.")]


@bench.command("embed")
def bench_embed(
    images: ImageFolder,
    backbone: Annotated[str, typer.Option(help="As in `new`.")],
    output: Annotated[str | None, typer.Option("--backbone-output", help="The backbone's output.")] = None,
    limit: Annotated[int, typer.Option(help="Number of images.")] = 1000,
    repeats: Annotated[int, typer.Option(help="Turns of each of the two.")] = 5,
    json: Json = None,
) -> None:
    """Time embedding end to end against inference alone."""
    from brainloop.bench.embed import bench_embed as measure

    with bar("turns") as progress:
        say_figures(measure(images, backbone, output=output, limit=limit, repeats=repeats, progress=progress), json)


@bench.command("kills")
def bench_kills(
    kills: Annotated[int, typer.Option(help="How many.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the study and of the instants.")] = 0,
    json: Json = None,
) -> None:
    """Kill a study at random instants; fail if a response is lost, doubled, or the end is another."""
    from brainloop.bench.kills import bench_kills as measure

    with bar("kills") as progress:
        figures = measure(kills, seed=seed, progress=progress)
    say_figures(figures, json)
    if figures["lost"] or figures["doubled"] or figures["different_ends"]:
        raise typer.Exit(1)


@bench.command("live")
def bench_live(
    presentations: Annotated[int, typer.Option(help="In the block that is measured.")] = 300,
    gallery: Annotated[int, typer.Option(help="Images of the gallery that is scrolled.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of wearer, images and key presses.")] = 0,
    json: Json = None,
) -> None:
    """Sit a synthetic wearer down before a real browser, by LSL: frames, clocks, samples, latency, AUC."""
    from brainloop.bench.live import bench_live as measure

    with bar("steps") as progress:
        figures = measure(presentations=presentations, gallery=gallery, seed=seed, progress=progress)
    say_figures(figures, json)


@bench.command("rounds")
def bench_rounds(
    pool: Annotated[int, typer.Option(help="Images in the pool.")] = 3000,
    width: Annotated[int, typer.Option(help="Numbers an embedding.")] = 1280,
    json: Json = None,
) -> None:
    """Time what the machine does between two rounds."""
    from brainloop.bench.rounds import bench_rounds as measure

    with bar("runs") as progress:
        say_figures(measure(pool, width, progress=progress), json)


@bench.command("talk")
def bench_talk(
    tasks: Annotated[list[str], typer.Option("--task", metavar="DIR:CLASS", help="What is looked for; may repeat.")],
    recordings: Annotated[list[Path], typer.Option(metavar="PATH...", help="Files or folders; one observer a person.")],
    backbone: Annotated[str, typer.Option(help="As in `new`.")],
    folder: Annotated[Path, typer.Option("--out", help="Where talk.json, talk.md and the figures go.")],
    more: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="More recordings, after the first.", hidden=True, show_default=False),
    ] = None,
    backbone_output: Annotated[str | None, typer.Option(help="The backbone's output; its features by default.")] = None,
    prevalence: Annotated[float, typer.Option(help="Thin a class out until targets have this share.")] = 0.12,
    difficulty: Annotated[float, typer.Option(help="0 to 1: how far hard images evoke weaker responses.")] = 0.0,
    compose: Annotated[Literal["on", "off"], typer.Option(help="Fillers around queried images.")] = "off",
    seeds: Annotated[int, typer.Option(min=1, help="How many; each is a split and a deal of responses.")] = 5,
    first_seed: Annotated[int, typer.Option(min=0, help="The first of them.")] = 1000,
    only: Annotated[list[str] | None, typer.Option(help="An experiment's number or name; may repeat.")] = None,
) -> None:
    """Make the talk's ten experiments on replayed recordings."""
    from brainloop.bench.preparation import prepare
    from brainloop.bench.talk import CHECKPOINTS, chosen, rehearsal_settings, write_talk
    from brainloop.bench.talk import bench_talk as measure

    chosen(only or [])  # a mistyped name costs nothing yet
    paths = [*recordings, *(more or [])]
    settings = rehearsal_settings(
        paths, backbone, backbone_output=backbone_output, prevalence=prevalence, difficulty=difficulty,
        compose=compose == "on",
    )  # fmt: skip
    with bar("preparing") as progress:
        arena = prepare(tasks, paths, settings, CHECKPOINTS, folder / "embeddings", progress=progress)
    with bar("rehearsing") as progress:
        figures = measure(arena, range(first_seed, first_seed + seeds), only=only or [], progress=progress)
    for path in write_talk(figures, folder, command=join(["brainloop", *sys.argv[1:]])):
        out.print(path)


@bench.command("decoder")
def bench_decoder(
    recordings: Annotated[list[Path], typer.Option(metavar="PATH...", help="Files or folders; one row a session.")],
    json: Annotated[Path, typer.Option("--json", help="Where the figures go; their tables are printed.")],
    more: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="More recordings, after the first.", hidden=True, show_default=False),
    ] = None,
    first_seed: Annotated[int, typer.Option(min=0, help="Of the networks, and of the first permutation.")] = 1000,
) -> None:
    """Measure the ensemble, single decoders and controls on recordings, and on new people."""
    from brainloop._files import write_whole
    from brainloop.bench.decoder import bench_decoder as measure
    from brainloop.bench.decoder_markdown import tables
    from brainloop.eeg.recordings import read_recordings

    read = read_recordings([*recordings, *(more or [])])
    for recording in read:
        for said in recording.repairs:
            err.print(f"{recording.name}: {said}")
    with bar("decoding") as progress:
        figures = measure(read, first_seed=first_seed, progress=progress)
    figures["command"] = join(["brainloop", *sys.argv[1:]])
    write_whole(json, (dumps(figures, indent=1, allow_nan=False) + "\n").encode())
    out.print(tables(figures))
