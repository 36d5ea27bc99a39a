"""The tables of the review's bench, in Markdown."""

from collections.abc import Mapping
from typing import Any

__all__ = ["WAYS", "tables"]

WAYS = {
    "model": "model alone", "brain": "one look at each", "review": "review", "by_hand": "by hand",
}  # fmt: skip
"""What the table calls each way of sorting."""


def tables(figures: Mapping[str, Any]) -> str:
    """Give three tables: by rate of targets, by confidence at the middle rate, and by person."""
    head = "precision | recall | F1 | images an hour | looks an image | silent"
    lines = [f"| targets | sorted by | {head} |", "|---|---|---|---|---|---|---|---|"]
    for row in figures["rates"]:
        lines += [f"| {row['rate']:.0%} | {words} | {_cells(row[way])} |" for way, words in WAYS.items()]
    lines += ["", f"| confidence | {head} |", "|---|---|---|---|---|---|---|"]
    lines += [f"| {row['confidence']:g} | {_cells(row)} |" for row in figures["curve"]]
    lines += [
        "",
        f"| review, {len(figures['rates'])} rates | decoder AUC | {head} |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in figures["people"].items():
        lines.append(f"| {name} | {one['auc']:.2f} | {_cells(one['review'])} |")
    return "\n".join(lines)


def _cells(one: Mapping[str, Any]) -> str:
    shares = " | ".join("" if one[name] is None else f"{one[name]:.2f}" for name in ("precision", "recall", "f1"))
    speed = "no person" if one["images_per_hour"] is None else f"{one['images_per_hour']:,.0f}"
    return f"{shares} | {speed} | {one['looks_per_image']:.2f} | {one['silent_share']:.0%}"
