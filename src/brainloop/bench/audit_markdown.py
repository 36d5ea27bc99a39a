"""The tables of the audit's bench, in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["tables"]

ROWS = {
    "cleanlab": "cleanlab, the best of its six",
    "model": "classifier alone",
    "brain": "brain alone, random looks",
    "shuffled": "classifier, then shuffled evidence",
    "shortlist": "**classifier, then brain**",
}


def tables(figures: Mapping[str, Any]) -> str:
    """Give the rankings, what the amendment is worth, and both by person."""
    settings, gain = figures["settings"], figures["precision_over_cleanlab"]
    ranked = [
        [words, _share(row["auroc"]), f"{_share(row['precision_at_errors'])} ± {_share(row['sd'])}",
         _share(row["precision_at_50"]), f"{row['looks']:.0f}"]
        for words, row in ((words, figures[name]) for name, words in ROWS.items())
    ]  # fmt: skip
    all_of_them = dict(figures) | {"recording": "mean", "observer_auc": _mean_auc(figures)}
    people = [
        [f"{one['recording']}, decoder AUC {_share(one['observer_auc'])}",
         _share(one["cleanlab"]["precision_at_errors"]), _share(one["shortlist"]["precision_at_errors"]),
         f"{one['shortlist']['looks']:.0f}", _percent(one["errors_left_share"]), _percent(one["right_changed_share"])]
        for one in (*figures["by_recording"], all_of_them)
    ]  # fmt: skip
    about = (
        f"{settings['images']:,} images of {len(settings['classes'])} classes; {_percent(settings['flipped'])} of the "
        f"annotations made wrong; {len(settings['seeds'])} seeds from {settings['seeds'][0]}; means over classes, "
        "people and seeds, ± the SD between seeds; looks are presentations a class, fillers included."
    )
    found = ", ".join(_percent(share) for share in figures["found_by_look"])
    more = (
        f"Precision over cleanlab's: {_signed(gain['gain'])} ± {_share(gain['gain_se'])} (one standard error). The "
        f"shortlist holds {_percent(figures['shortlist_holds'])} of the errors; with 1 to "
        f"{settings['looks_per_image']} looks at an image, {found} of all errors are changed. "
        f"{_percent(figures['target_share'])} of the presentations are targets. The share of wrong annotations is "
        f"estimated as {_percent(figures['noise_estimated'])}."
    )
    ranking = ["ranking", "AUROC", "precision at the number of errors", "precision at 50", "looks"]
    person = ["person", "precision, cleanlab", "precision, ours", "looks", "errors left", "right ones changed"]
    return "\n\n".join([about, _table(ranking, ranked), more, _table(person, people)])


def _mean_auc(figures: Mapping[str, Any]) -> float:
    aucs = [one["observer_auc"] for one in figures["by_recording"]]
    return float(sum(aucs) / len(aucs))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows])


def _share(value: float | None) -> str:
    # One seed, or one person at one seed, has no spread.
    return "\N{EN DASH}" if value is None else f"{value:.3f}".removeprefix("0")


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("0.", ".", 1)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
