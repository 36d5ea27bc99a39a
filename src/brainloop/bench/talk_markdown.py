"""The page of the talk's experiments: for each its claim, the figure, the table and a sentence from the numbers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from brainloop.bench.experiments import EXPERIMENTS
from brainloop.report.figures import TALK

__all__ = ["page", "verdict"]

Results = Mapping[str, Any]

CLAIMS = {
    "checkpoints": "The loop reaches AUC .80, .86, .88, .90 and .92 at 200, 400, 589, 718 and 795 looks.",
    "soft_labels": "Soft labels train a better classifier than hard ones.",
    "active_learning": "Active learning helps on top of soft labels.",
    "training_share": "AUC grows with the share of the training images that was looked at.",
    "time": "AUC .92 in 20.6 minutes.",
    "compensation": "Soft labels make up for the decoder's errors.",
    "confidence": "The score says how sure the person was of the image.",
    "zero_label": "The talk has no such row. It is a control: what the backbone knows before anybody looks.",
    "difficulty": "The talk has no such row. It breaks our assumption that the response depends on the class alone: "
    "at difficulty 1 the hardest image draws the weakest response of its class.",
    "compose": "The talk keeps targets rare, as the P300 asks; fillers do it here.",
}  # fmt: skip


def page(figures: Results) -> str:
    """Give the page as Markdown, from what ``talk.json`` holds."""
    settings, machine = figures["settings"], figures["machine"]
    seeds = settings["seeds"]
    parts = [
        "# The talk's experiments",
        f"```console\n$ {figures['command']}\n```",
        f"Tasks: {_listed(settings['tasks'])}. Observers: "
        + ", ".join(
            f"{name} (decoder AUC {_auc(one['auc'])}, SOA {one['soa_s']:.2f} s)"
            for name, one in settings["recordings"].items()
        )
        + f". {len(seeds)} paired seed{'s'[: len(seeds) != 1]} from {seeds[0]}; {settings['prevalence']:.0%} targets; "
        f"difficulty {settings['difficulty']:g}; fillers {'on' if settings['compose'] else 'off'}. "
        f"Machine: {machine['processor']}, {machine['cores']} cores.",
        (
            f"AUC is that of the classifier alone on images that were never shown; ± is the "
            f"{settings['sd']}. A gain is "
            "paired: same split, same seed of the deal; its ± is one standard error, "
            f"{settings['gain_se']}. A gain within two standard errors of zero is called *no "
            f"difference found*; so is one "
            "that has no standard error, from one seed of one cell."
        ),
        "## Headline",
        "![AUC of the four systems over looks, one panel an observer](headline.png)",
        _headline(figures),
        "Each observer, over all tasks:",
        _by(figures["by_recording"], figures),
        "Each task with each observer:",
        _by(figures["by"], figures),
    ]
    for number, name in enumerate(EXPERIMENTS, start=1):
        result = figures["experiments"].get(name)
        if result is not None:
            title = f"{number}. {name.replace('_', ' ').capitalize()}"
            drawn = name != "zero_label" or result["own"] is not None
            parts += [
                f"## {title}",
                f"*{CLAIMS[name]}*",
                *([f"![{title}]({number:02d}-{name}.png)"] if drawn else []),
                *SECTIONS[name](result),
            ]
    return "\n\n".join(parts) + "\n"


def verdict(gain: float | None, error: float | None) -> str:
    """Say what a gain comes to: its number and error, or that no difference was found."""
    if gain is None or error is None or abs(gain) <= 2 * error:
        return f"no difference found ({_gain(gain, error)})"
    return f"{'a gain' if gain > 0 else 'a loss'} of {_auc(abs(gain))} ± {_auc(error)}"


def _headline(figures: Results) -> str:
    points = figures["checkpoints"]
    rows = [[name, *_auc_cells(one)] for name, one in figures["systems"].items()]
    ours = figures["systems"]["brainloop"]
    rows.append(["**brainloop over talk**", *_gain_cells(ours)])
    known = {looks: auc for looks, _, auc in TALK}
    rows.append(["InnerEye 2019: other images, another person", *(_auc(known.get(looks)) for looks in points)])
    rows.append(["talk: viewing, machine", *_times(figures["systems"]["talk"])])
    rows.append(["brainloop: viewing, machine", *_times(ours)])
    return _table(["AUC after looks", *map(str, points)], rows)


def _by(rows: Sequence[Results], figures: Results) -> str:
    cells = [
        [*([row["task"]] if "task" in row else []), f"{row['recording']} ({_auc(row['observer_auc'])})", name, *numbers]
        for row in rows
        for name, numbers in (
            *((name, _auc_cells(one)) for name, one in row["systems"].items()),
            ("**brainloop over talk**", _gain_cells(row["systems"]["brainloop"])),
        )
    ]
    heads = [*(["task"] if "task" in rows[0] else []), "observer (AUC)", "system", *map(str, figures["checkpoints"])]
    return _table(heads, cells)


def _checkpoints(result: Results) -> list[str]:
    series, looks = result["series"], result["at"]
    rows = [
        [name, *_auc_cells(one), *(_gain_cells(one)[-1:] if name != "talk" else [])] for name, one in series.items()
    ]
    added = [
        f"to `talk` {name.removeprefix('talk + ')} adds {verdict(one['gain'][-1], one['gain_se'][-1])}"
        for name, one in series.items()
        if name.startswith("talk + ")
    ]
    missed = [
        f"{factor} is worth {verdict(one['gain'][-1], one['gain_se'][-1])}" for factor, one in result["worth"].items()
    ]
    ours = series["brainloop"]
    return [
        _table(["AUC after looks", *map(str, looks), f"gain at {looks[-1]}"], rows),
        (
            f"At {looks[-1]} looks `brainloop` over `talk`: {verdict(ours['gain'][-1], ours['gain_se'][-1])}. "
            f"One factor at a time: {'; '.join(added)}. "
            f"Within `brainloop`, against the same with `talk`'s: {'; '.join(missed)}."
        ),
    ]


def _soft_labels(result: Results) -> list[str]:
    series = result["series"]
    rows = [[name, _spread(one["auc"], one["sd"]), _gain(one["gain"], one["gain_se"])] for name, one in series.items()]
    said = [
        f"{name}: {verdict(one['gain'], one['gain_se'])}" for name, one in series.items() if not name.startswith("hard")
    ]
    return [
        _table([f"rule, head; {result['looks']} random looks", "AUC", "gain over hard labels"], rows),
        f"Over hard labels: {'; '.join(said)}.",
    ]


def _active_learning(result: Results) -> list[str]:
    looks = list(map(str, result["at"]))
    contrasts = result["contrasts"]
    said = [f"{name}: {verdict(one['gain'][-1], one['gain_se'][-1])}" for name, one in contrasts.items()]
    return [
        _table(["AUC after looks", *looks], [[name, *_auc_cells(one)] for name, one in result["series"].items()]),
        _table(["difference", *looks], [[name, *_gain_cells(one)] for name, one in contrasts.items()]),
        f"At {looks[-1]} looks: {'; '.join(said)}.",
    ]


def _training_share(result: Results) -> list[str]:
    rows = [[name, *_auc_cells(one)] for name, one in result["series"].items()]
    ours = result["series"]["brainloop"]
    rows.append(["**brainloop over talk**", *_gain_cells(ours)])
    said = [f"at {at:.0%} {verdict(ours['gain'][k], ours['gain_se'][k])}" for k, at in enumerate(result["at"])]
    return [
        _table(["share looked at, once each", *(f"{at:.0%}" for at in result["at"])], rows),
        f"`brainloop` over `talk`: {'; '.join(said)}.",
    ]


def _time(result: Results) -> list[str]:
    levels = result["levels"]
    ways = {"own": f"recordings' SOA ({result['own_soa_s']:.2f} s)", "fast": "5 Hz"}
    rows = [["InnerEye 2019", "their own", *(f"{minutes:g}" for _, minutes, _ in TALK)]]
    for name, one in result["series"].items():
        for way, words in ways.items():
            if f"minutes_to_{way}" in one:
                words = f"{result['click_s']:g} s an image" if name == "clicking" else words
                reached = ["not reached" if m is None else f"{m:.1f}" for m in one[f"minutes_to_{way}"]]
                rows.append([name, words, *reached])
    best = result["series"]["brainloop"]["minutes_to_fast"]
    clicking = result["series"]["clicking"]["minutes_to_own"]
    said = [
        f"AUC {_auc(level)}: {'not reached' if ours is None else f'{ours:.1f} min'} at 5 Hz, "
        f"{'not reached' if click is None else f'{click:.1f} min'} by clicking"
        for level, ours, click in zip(levels, best, clicking, strict=True)
    ]
    return [
        _table(["minutes to AUC", "shown at", *map(_auc, levels)], rows),
        (
            f"Minutes are viewing, with {result['pause_s']:g} s of rest between blocks, and "
            f"machine; the calibration of the "
            f"decoder ({result['calibration_minutes']:.1f} minutes on average) comes once and "
            f"is not in them. Responses were "
            "evoked at the recordings' own rate; 5 Hz is what the same looks would take if "
            "they were as good. Clicking is "
            "`truth` at the time that Krishna et al. (2016, CHI) measured for yes or no, an "
            "image, without error: a person "
            "who clicks makes few."
        ),
        f"`brainloop`, {'; '.join(said)}.",
    ]


def _compensation(result: Results) -> list[str]:
    last = len(result["at"]) - 1
    rows = []
    for k, noise in enumerate(result["noise"]):
        of = [_spread(one["auc"][k][last], one["sd"][k][last]) for one in result["series"].values()]
        talk = result["series"]["talk"]
        gain = _gain(talk["gain"][k][last], talk["gain_se"][k][last])
        rows.append([f"{noise:g}", f"{result['error_rate'][k]:.0%}", *of, gain])
    talk = result["series"]["talk"]
    said = [
        f"at an error rate of {rate:.0%} {verdict(talk['gain'][k][last], talk['gain_se'][k][last])}"
        for k, rate in enumerate(result["error_rate"])
    ]
    return [
        _table(["noise, SD", "error rate", *result["series"], "talk over hard"], rows),
        f"AUC at {result['at'][last]} looks. Soft labels (`talk`) over hard ones: {'; '.join(said)}.",
    ]


def _confidence(result: Results) -> list[str]:
    rows = []
    for kind, one in result["series"].items():
        for what in ("images", "control", "difference"):
            rhos = zip(*(one[what][key] for key in ("rho", "low", "high")), strict=True)
            label = {"images": "measured", "control": "shuffled control"}.get(what, "**difference**")
            rows.append([kind, label, *(f"{_signed(r)} [{_signed(a)}, {_signed(b)}]" for r, a, b in rhos)])
    said = []
    for kind, one in result["series"].items():
        for level, low, high in zip(
            result["difficulty"], one["difference"]["low"], one["difference"]["high"], strict=True
        ):
            apart = low is not None and (low > 0 or high < 0)
            said.append(f"{kind} at difficulty {level:g}: {'apart from' if apart else 'not apart from'} the control")
    return [
        _table(["class", "rank correlation", *(f"difficulty {level:g}" for level in result["difficulty"])], rows),
        (
            f"Weight of the first of {result['looks_an_image']} looks against the share of "
            f"the others that give the same "
            "label, within class; 95 % interval from a bootstrap over images. The "
            "correlation is above zero in the control "
            "too: whoever is right is sure, and right looks agree. At difficulty 0 the "
            "difference is zero by construction, "
            "since a response is dealt to any image of its class; nothing here can then tell one image from another. "
            f"{'; '.join(said)}."
        ),
    ]


def _zero_label(result: Results) -> list[str]:
    about = "; ".join(f"{task}: {words}" for task, words in result["classes"].items())
    if result["own"] is None:
        return [f"No row: {about}."]
    looks = result["at"]
    rows = [["backbone's own class", *[_spread(result["own"]["auc"], result["own"]["sd"])] * len(looks)]]
    rows += [[name, *_auc_cells(one)] for name, one in result["series"].items()]
    ahead = [
        str(at)
        for at, auc in zip(looks, result["series"]["brainloop"]["auc"], strict=True)
        if auc > result["own"]["auc"]
    ]
    return [
        _table(["AUC after looks", *map(str, looks)], rows),
        (
            f"On {_listed(result['tasks'])} ({about}). `brainloop` is above the backbone's own class "
            f"{'at ' + ', '.join(ahead) + ' looks' if ahead else 'at no checkpoint'}."
        ),
    ]


def _difficulty(result: Results) -> list[str]:
    rows, said = [], []
    for k, level in enumerate(result["difficulty"]):
        for name, one in result["series"].items():
            rows.append([f"{level:g}", name, *_auc_cells({key: one[key][k] for key in ("auc", "sd")})])
        ours = {key: result["series"]["brainloop"][key][k] for key in ("gain", "gain_se")}
        rows.append([f"{level:g}", "**brainloop over talk**", *_gain_cells(ours)])
        said.append(f"at difficulty {level:g} {verdict(ours['gain'][-1], ours['gain_se'][-1])}")
    return [
        _table(["difficulty", "AUC after looks", *map(str, result["at"])], rows),
        f"`brainloop` over `talk` at {result['at'][-1]} looks: {'; '.join(said)}.",
    ]


def _compose(result: Results) -> list[str]:
    rows, said = [], []
    for name, one in result["series"].items():
        rows.append([name, *_auc_cells(one), f"{one['target_share'][-1]:.0%}"])
        if name.endswith("on"):
            said.append(f"`{name.split(',')[0]}` {verdict(one['gain'][-1], one['gain_se'][-1])}")
    looks = result["at"]
    return [
        _table(["fillers; AUC after looks", *map(str, looks), "targets among the looks"], rows),
        (
            f"Fillers on against off, {looks[-1]} looks: {'; '.join(said)}. Replayed "
            f"responses do not weaken as targets "
            "grow frequent; those of a person who looks do, so what fillers cost is seen "
            "here and what they save is not."
        ),
    ]


SECTIONS: dict[str, Callable[[Results], list[str]]] = {
    "checkpoints": _checkpoints,
    "soft_labels": _soft_labels,
    "active_learning": _active_learning,
    "training_share": _training_share,
    "time": _time,
    "compensation": _compensation,
    "confidence": _confidence,
    "zero_label": _zero_label,
    "difficulty": _difficulty,
    "compose": _compose,
}


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *([*row, *[""] * (len(header) - len(row))] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _auc_cells(one: Results) -> list[str]:
    return [_spread(auc, sd) for auc, sd in zip(one["auc"], one["sd"], strict=True)]


def _gain_cells(one: Results) -> list[str]:
    return [_gain(gain, error) for gain, error in zip(one["gain"], one["gain_se"], strict=True)]


def _times(one: Results) -> list[str]:
    return [f"{view / 60:.1f} min, {machine:.1f} s" for view, machine in
            zip(one["viewing_s"], one["machine_s"], strict=True)]  # fmt: skip


def _spread(mean: float | None, sd: float | None) -> str:
    return _auc(mean) + (f" ± {_auc(sd)}" if sd is not None else "")


def _gain(gain: float | None, error: float | None) -> str:
    return _signed(gain) + (f" ± {_auc(error)}" if error is not None else "")


def _auc(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}".removeprefix("0")


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.3f}".replace("0.", ".", 1)


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(names)
