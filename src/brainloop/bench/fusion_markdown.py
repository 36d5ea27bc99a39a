"""The tables of the fusion bench."""

from collections.abc import Mapping
from typing import Any

__all__ = ["tables"]

WORDS = {
    "classifier": "classifier alone, `z`",
    "brain": "brain alone, `L`",
    "late": "late, `z + L`",
    "stacked": "stacked",
    "joint": "joint",
    "late_shuffled": "late, EEG shuffled",
    "stacked_shuffled": "stacked, EEG shuffled",
    "joint_shuffled": "joint, EEG shuffled",
}
"""What a reader should call each way."""


def tables(figures: Mapping[str, Any]) -> str:
    """Give the tables as Markdown, from what `brainloop.bench.fusion.bench_fusion` gives."""
    return "\n\n".join([_top(figures), _grid(figures)])


def _top(figures: Mapping[str, Any]) -> str:
    targets = figures["targets"]
    settings = figures["settings"]
    said = (
        f"The cell nearest to {settings['goal']} and {settings['goal']}: {figures['person']}, {figures['channels']} "
        f"channels, {figures['labels']} labels. AUC on images and epochs that nothing learned from, mean over "
        f"{len(targets)} classes and {len(settings['seeds'])} seeds, and SD between seeds; then each class."
    )
    lines = [
        said,
        "",
        "| | AUC | SD | " + " | ".join(targets) + " |",
        "|---|---|---|" + "---|" * len(targets),
    ]
    for name, words in WORDS.items():
        own = " | ".join(_auc(one[name]["auc"]) for one in targets.values())
        lines.append(f"| {words} | {_auc(figures[name]['auc'])} | {_auc(figures[name]['sd'])} | {own} |")
    return "\n".join(lines)


def _grid(figures: Mapping[str, Any]) -> str:
    lines = [
        "Every cell, AUC; the last column is the largest distance of the three with shuffled EEG from the classifier.",
        "",
        "| person | channels | labels | classifier | brain | late | stacked | joint | shuffled |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for cell in figures["grid"]:
        aucs = " | ".join(_auc(cell[name]["auc"]) for name in ("classifier", "brain", "late", "stacked", "joint"))
        off = max(
            (cell[f"{name}_shuffled"]["auc"] - cell["classifier"]["auc"] for name in ("late", "stacked", "joint")),
            key=abs,
        )
        lines.append(f"| {cell['person']} | {cell['channels']} | {cell['labels']} | {aucs} | {off:+.3f} |")
    return "\n".join(lines)


def _auc(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}".removeprefix("0")
