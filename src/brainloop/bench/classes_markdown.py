"""The tables of the bench of several classes, in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["WAYS", "tables"]

WAYS = {
    "brainloop": "brainloop",
    "random_query": "brainloop, random images and classes",
    "brainloop_one_vs_rest": "brainloop, one against the rest",
    "talk_one_vs_rest": "talk's rule, one against the rest",
    "truth": "brainloop, told the truth",
}
"""What a reader should call each way to learn."""


def tables(figures: Mapping[str, Any]) -> str:
    """Give the tables as Markdown, from what `brainloop.bench.classes.bench_classes` gives."""
    return "\n\n".join([_ways(figures), _confusion(figures), _people(figures)])


def _ways(figures: Mapping[str, Any]) -> str:
    looks, seeds, people = figures["looks"], figures["seeds"], figures["by_person"]
    said = (
        f"Accuracy on {figures['images']['never_shown']} images never shown, of {len(figures['classes'])} classes, "
        f"after so many looks over all classes, at a pool of {figures['images']['pool']:,}. Mean over "
        f"{len(people)} {'people' if len(people) > 1 else 'person'} and {len(seeds)} "
        f"seed{'s' if len(seeds) > 1 else ''} from {seeds[0]}; SD between seeds, and what `brainloop` gains, ± one SE, "
        "both after the last look."
    )
    head = ["", *(f"{n:,} looks" for n in looks), "SD", "`brainloop` gains"]
    rows = []
    for way, words in WAYS.items():
        one = figures if way == "brainloop" else figures[way]
        gain = "" if way == "brainloop" else _gain(one["gain"][-1], one["gain_se"][-1])
        rows.append([words, *map(_share, one["at"]), _share(one["sd"]), gain])
    return f"{said}\n\n{_table(head, rows)}"


def _confusion(figures: Mapping[str, Any]) -> str:
    classes, confusion = figures["classes"], figures["confusion"]
    rows = [
        [true, *(f"{n / max(sum(counts), 1):.0%}" for n in counts), _share(auc)]
        for true, counts, auc in zip(classes, confusion, figures["auc"], strict=True)
    ]
    head = ["of these", *(f"said {name}" for name in classes), "AUC"]
    said = "What `brainloop` says of each class after the last look, all people and seeds; AUC against the rest."
    return f"{said}\n\n{_table(head, rows)}"


def _people(figures: Mapping[str, Any]) -> str:
    rows = [
        [person, _share(one["observer_auc"]), *(_share(one[way][-1]) for way in WAYS)]
        for person, one in figures["by_person"].items()
    ]
    return f"Person by person, after the last look.\n\n{_table(['', 'decoder AUC', *WAYS.values()], rows)}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}".removeprefix("0")


def _gain(value: float, error: float | None) -> str:
    return f"{value:+.3f}".replace("0.", ".") + ("" if error is None else f" ± {_share(error)}")
