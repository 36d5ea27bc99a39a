"""The tables of the decoder's bench: what was measured, held against single decoders and against controls."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["tables"]

Results = Mapping[str, Any]

SPLITS = {"blocks": "five blocks in time", "time": "the first 40 % trains, the rest is tested"}
CONTROLS = ("control_permuted", "control_prestimulus")


def tables(figures: Results) -> str:
    """Give the tables as Markdown, from what `brainloop.bench.decoder.bench_decoder` gives."""
    methods = [name for name in figures["recordings"][0]["methods"] if name not in CONTROLS]
    parts = []
    for split, words in SPLITS.items():
        parts += [f"### AUC, {words}", _aucs(figures, methods, split)]
    parts += ["### The ensemble: calls, calibration, members", _ensemble(figures, methods[-1])]
    parts += ["### Controls, AUC", _controls(figures)]
    if any(one["people"] for one in figures["transfer"].values()):
        parts += ["### A new person, AUC over own trials", _transfer(figures)]
    parts += ["### Time", _times(figures, methods), _speed(figures["speed"]), _machine(figures)]
    return "\n\n".join(parts)


def _aucs(figures: Results, methods: Sequence[str], split: str) -> str:
    rows = []
    for dataset, compared in figures["datasets"].items():
        for row in figures["recordings"]:
            if row["dataset"] == dataset:
                measured = [row["methods"][name][split] for name in methods]
                cells = [*(_auc(one.get("auc")) for one in measured[:-1]), _interval(measured[-1], "auc", "ci")]
                rows.append([dataset, row["name"], *cells])
        if split in compared:
            one = compared[split]
            rows.append([dataset, f"**mean of {one['n']}**", *(_strong(one["auc"][name]) for name in methods)])
    lines = [
        f"{dataset}: `{methods[-1]}` is {_signed(one[split]['gain'])} over `{one[split]['best']}`, the single "
        f"decoder of the highest mean. Against the best single decoder of each recording it is least ahead on "
        f"{one[split]['worst']['name']}: {_signed(one[split]['worst']['gain'])}."
        for dataset, one in figures["datasets"].items()
        if split in one
    ]
    heads = ["data set", "recording", *(f"`{name}`" for name in methods[:-1]), f"`{methods[-1]}` [95 %]"]
    return "\n\n".join([_table(heads, rows), *lines, *_gaps(figures, methods, [split])])


def _ensemble(figures: Results, ensemble: str) -> str:
    rows = []
    for row in figures["recordings"]:
        for split in SPLITS:
            one = row["methods"][ensemble][split]
            if "error" in one:
                continue
            members = ", ".join(f"{name} {_auc(auc)}" for name, auc in one.get("members", {}).items())
            rows.append(
                [
                    row["name"],
                    split,
                    f"{one['n']}, {one['n_targets']}",
                    _auc(one["balanced_accuracy"]),
                    _interval(one, "ece", "ece_ci"),
                    _auc(one["ece_chance"]),
                    members,
                ]
            )
    heads = ["recording", "split", "trials, targets", "balanced accuracy", "ECE [95 %]", "by chance", "members, AUC"]
    return _table(heads, rows)


def _controls(figures: Results) -> str:
    rows = []
    for row in figures["recordings"]:
        cells = [_interval(row["methods"][name][split], "auc", "ci") for name in CONTROLS for split in SPLITS]
        rows.append([row["name"], *cells])
    means = []
    for name in CONTROLS:
        for split in SPLITS:
            made = [
                row["methods"][name][split]["auc"]
                for row in figures["recordings"]
                if "auc" in row["methods"][name][split]
            ]
            means.append(_strong(sum(made) / len(made) if made else None))
    heads = ["recording", *(f"{name.removeprefix('control_')}, {split}" for name in CONTROLS for split in SPLITS)]
    return "\n\n".join([_table(heads, [*rows, ["**mean**", *means]]), *_gaps(figures, CONTROLS, list(SPLITS))])


def _transfer(figures: Results) -> str:
    sizes = list(figures["transfer"])
    people = [(one["dataset"], one["person"]) for one in figures["transfer"][sizes[0]]["people"]]
    rows = []
    for place, (dataset, person) in enumerate(people):
        measured = [figures["transfer"][size]["people"][place] for size in sizes]
        rows.append([f"{dataset}/{person}", *(_interval(one, "auc", "ci") for one in measured)])
    for what, words in (("auc", "mean"), ("ece", "mean ECE")):
        rows.append([f"**{words}**", *(_strong(figures["transfer"][size][what]) for size in sizes)])
    gaps = [
        f"{one['person']}, {size} own trials: not made. {one['error']}."
        for size in sizes
        for one in figures["transfer"][size]["people"]
        if "error" in one
    ]
    return "\n\n".join([_table(["new person", *sizes], rows), *gaps])


def _times(figures: Results, methods: Sequence[str]) -> str:
    rows = [
        [
            f"{row['name']}: {row['n']} trials x {row['channels']} channels",
            *(
                "" if one["fit_s"] is None else f"{one['fit_s']:.2f} s, {one['score_ms']:.2f} ms"
                for one in (row["methods"][name] for name in methods)
            ),
        ]
        for row in figures["recordings"]
    ]
    return _table(["fit on four blocks with calibration, one epoch to evidence", *(f"`{m}`" for m in methods)], rows)


def _speed(fast: Results) -> str:
    fits = ", ".join(f"{size} channels {seconds:.1f} s" for size, seconds in fast["fit_s"].items())
    epoch, networks = fast["epoch_ms"], fast["networks"]
    return (
        f"On made-up epochs, a fit with its calibration of trials x channels: {fits}. One epoch of {epoch['channels']} "
        f"channels to evidence on one thread: {epoch['p50']:.1f} ms (median), {epoch['p99']:.1f} ms (99th percentile). "
        f"Ten networks take {networks['ratio']:.1f} times as long as one in the same loop ({networks['many']:.1f} and "
        f"{networks['one']:.1f} s)."
    )


def _machine(figures: Results) -> str:
    about = figures["machine"]
    return (
        f"Machine: {about['processor']}, {about['cores']} cores, Python {about['python']}, numpy {about['numpy']}, "
        f"torch {about['torch']}. The whole bench took {figures['seconds']['total'] / 60:.1f} min."
    )


def _gaps(figures: Results, names: Sequence[str], splits: Sequence[str]) -> list[str]:
    return [
        f"{row['name']}, `{name}`, {split}: not made. {row['methods'][name][split]['error']}."
        for row in figures["recordings"]
        for name in names
        for split in splits
        if "error" in row["methods"][name][split]
    ]


def _interval(one: Results, what: str, interval: str) -> str:
    if one.get(what) is None:
        return ""
    low, high = one[interval]
    return f"{_auc(one[what])} [{_auc(low)}, {_auc(high)}]"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *rows])


def _auc(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}".removeprefix("0")


def _strong(value: float | None) -> str:
    return "" if value is None else f"**{_auc(value)}**"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("0.", ".", 1)
