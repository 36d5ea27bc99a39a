"""The review's commands; thin, as those of `brainloop.cli`."""

from collections.abc import Sequence
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from brainloop.terminal import bar, err, out

if TYPE_CHECKING:
    from brainloop.study import Study
    from brainloop.uses.arrivals import Arrivals

__all__ = ["add_commands"]

SECONDS = 2.0
"""Between two looks into a folder that is watched."""


def add_commands(app: typer.Typer) -> None:
    """Add ``review``."""
    app.command()(review)


def review(
    model: Annotated[Path, typer.Argument(metavar="STUDY", help="The trained study whose classifier sorts.")],
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="The folder of images to review.")],
    folder: Annotated[Path, typer.Option("--out", help="The review's own folder; one that is there goes on.")],
    target: Annotated[str | None, typer.Option(help="What is looked for, if the study tells several classes.")] = None,
    observer: Annotated[
        Literal["live", "replay", "simulated"] | None,
        typer.Option(
            help="Who looks: a person in the studio (live, the default), or, to try it out where class folders tell "
            "the truth, recordings or a simulation."
        ),
    ] = None,
    recordings: Annotated[
        list[Path] | None, typer.Option(help="A recording to replay, or a folder of them; repeat for several.")
    ] = None,
    confidence: Annotated[float, typer.Option(help="What precision and recall should reach; higher is slower.")] = 0.9,
    target_rate: Annotated[float | None, typer.Option(help="Share of targets among the images, if known.")] = None,
    looks: Annotated[int, typer.Option(help="Looks at an image at most; then its sign decides.")] = 4,
    watch: Annotated[bool, typer.Option("--watch", help="Take in images as they come, until Ctrl-C.")] = False,
    seed: Annotated[int, typer.Option(help="One seed, one result.")] = 0,
) -> None:
    """Sort new images: silently what a trained study is sure of, by looks what it is not."""
    from brainloop.uses.arrivals import Arrivals
    from brainloop.uses.review import open_review

    arrivals, made = Arrivals(images), (folder / "study.toml").exists()
    if watch and not made:
        out.print(f"Waiting for two images in {images}; Ctrl-C ends.")
        _await_images(arrivals)
    with bar("scanning") as progress:
        study = open_review(
            folder, model, images, target, progress=progress, observer=observer or ("replay" if recordings else "live"),
            recordings=tuple(str(path) for path in recordings or ()), confidence_threshold=confidence,
            target_rate=target_rate, looks_per_image=looks, seed=seed,
        )  # fmt: skip
    _sort(study)
    if watch:
        _watch(study, arrivals)
    elif study.settings.observer == "live":
        out.print(f"Next: brainloop studio {folder}")


def _await_images(arrivals: "Arrivals") -> None:
    """Wait until there are as many images as a study needs."""
    there = 0
    while there < 2:
        sleep(SECONDS)
        there += len(arrivals.look())


def _watch(study: "Study", arrivals: "Arrivals") -> None:
    """Take in images as they come, until Ctrl-C."""
    out.print(f"Watching {study.settings.images}; Ctrl-C ends.")
    if study.settings.observer == "live":
        out.print(f"To look at what waits: brainloop studio {study.folder}")
    named = study.store.skipped()
    try:
        while True:
            ready = arrivals.look()
            if ready and study.grow(ready):
                _sort(study, named)
                named = study.store.skipped()
            sleep(SECONDS)
    except KeyboardInterrupt:
        # What is kept and how to go on is said by `brainloop.cli.main`, as after any Ctrl-C.
        out.print(f"{study.folder / 'sorted.csv'} has every image that had come.")
        raise typer.Exit(130) from None


def _sort(study: "Study", named: Sequence[tuple[str, str]] = ()) -> None:
    """Sort what is there, ask about what waits where no person has to sit down for it, and say what it came to.

    Files that were skipped are named, but for those that were named before.
    """
    from brainloop.loop import run
    from brainloop.uses.review import piles, review_counts, write_sorted

    with bar("embedding") as progress:
        study.data(progress)
    for path, reason in study.store.skipped():
        if (path, reason) not in named:
            err.print(f"skipped {path}: {reason}")
    found = piles(study)
    if study.settings.observer != "live" and any(one.sorted_by == "open" for one in found):
        with bar("looks") as progress:
            for _ in run(study, progress=progress):
                pass
        found = piles(study)
    written = write_sorted(study, found)
    counts = review_counts(study, found)
    said = [
        f"{counts.images} images: {counts.by_model} sorted by the model, {counts.by_person} by looks",
        f"{counts.open} wait to be looked at",
        f"{counts.targets} are called {study.settings.target}",
    ]
    if counts.precision is not None and counts.recall is not None:
        said.append(f"precision {counts.precision:.3f}, recall {counts.recall:.3f} by the class folders")
    if counts.images_per_hour is not None:
        said.append(f"{counts.looks} looks, {counts.images_per_hour:,.0f} images an hour")
    out.print("; ".join(said))
    out.print(written)
