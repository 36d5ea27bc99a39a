"""The tables of the drive's bench, in Markdown."""

from collections.abc import Mapping
from typing import Any

__all__ = ["WAYS", "tables"]

WAYS = {
    "plain": "`plain`: progress and collisions alone",
    "brain": "`brain`: a simulated person watches",
    "reward_model": "`reward_model`: nobody watches",
    "zero_weight": "`zero_weight`: the person's term times 0",
    "random_feedback": "`random_feedback`: the person watches another road",
    "oracle_hazard": "`oracle_hazard`: the truth about hazards",
    "shaped_ttc": "`shaped_ttc`: time to collision, no brain",
}
"""What the table calls each agent."""


def tables(figures: Mapping[str, Any]) -> str:
    """Give three tables: the agents, what they are held against, and detection in running EEG."""
    lines = [
        "| learns from | collisions | progress | speed | decisions to `plain`'s collisions |",
        "|---|---|---|---|---|",
    ]
    for name, words in WAYS.items():
        one, reached = figures["agents"][name], figures["bars"]["steps_to_plain"][name]
        cells = [_interval(one[what], one["ci" if what == "collision_rate" else f"{what}_ci"])
                 for what in ("collision_rate", "progress", "speed")]  # fmt: skip
        lines.append(f"| {words} | {' | '.join(cells)} | {'never' if reached is None else f'{reached:,}'} |")
    lines += ["", *_bars(figures["bars"], figures["agents"]["reward_model"]["model"]), ""]
    return "\n".join([*lines, *_detection(figures["detection"])])


def _bars(bars: Mapping[str, Any], model: Mapping[str, Any]) -> list[str]:
    low, high = bars["random_gain_ci"]
    rows = [
        ("collisions of `brain`, as a share of `plain`'s", _share(bars["collisions_of_plain"]), "at most .5"),
        ("its progress, as a share of `plain`'s", f"{bars['progress_of_plain']:.2f}", "at least .9"),
        ("its decisions to `plain`'s last collisions, of all", _share(bars["share_of_training"]), "at most .5"),
        ("the same, of those that `plain` itself needs", _share(bars["share_of_plain"]), ""),
        ("gain of `reward_model`, as a share of `brain`'s", _share(bars["model_share_of_gain"]), "at least .9"),
        ("curves of `zero_weight` and `plain`", "equal" if bars["zero_weight_equals_plain"] else "differ", "equal"),
        ("gain of `random_feedback`", f"{bars['random_gain']:+.3f} [{low:+.3f}, {high:+.3f}]", "none"),
        (f"AUC of the reward model on new roads, {model['looks']:,} looks", f"{model['auc']:.3f}", ""),
    ]
    return ["| | measured | bar |", "|---|---|---|", *(f"| {what} | {value} | {bar} |" for what, value, bar in rows)]


def _detection(found: Mapping[str, Any]) -> list[str]:
    own, control = found["own"], found["control"]
    auc, hits = (_interval(found[name], found["ci"][name]) for name in ("auc", "hits"))
    rows = [
        ("AUC, stretches after a hazard against stretches without", auc, "at least .85"),
        (
            "hits at two false alarms a minute",
            f"{hits}; {found['chance_hits']:.2f} by chance",
            "at least .30",
        ),
        ("their latency, median", f"{found['latency_s']:.2f} s", "at most 1.0 s"),
        (
            "hits at the threshold of the calibration",
            f"{own['hits']:.2f} at {own['false_alarms_per_hour']:.0f} an hour",
            "",
        ),
        (
            "the same people, who look away",
            f"AUC {control['auc']:.3f}, hits {control['hits']:.2f}; {control['chance_hits']:.2f} by chance",
            "chance",
        ),
    ]
    lines = [
        (
            f"| detection: {found['hazards']} hazards, {len(found['seeds'])} people, {found['minutes']:g} minutes each "
            "| measured | bar |"
        ),
        "|---|---|---|",
        *(f"| {what} | {value} | {bar} |" for what, value, bar in rows),
        "",
    ]
    curve = found["curve"]
    lines.append("| false alarms an hour | " + " | ".join(f"{one['false_alarms_per_hour']:g}" for one in curve) + " |")
    lines.append("|---|" + "---|" * len(curve))
    for words, name in (("hits", "hits"), ("hits by chance", "chance_hits"), ("latency, s", "latency_s")):
        cells = ("" if one[name] is None else f"{one[name]:.2f}" for one in curve)
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return lines


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def _interval(value: float, ends: list[float | None]) -> str:
    if ends[0] is None or ends[1] is None:
        return f"{value:.3f}"
    return f"{value:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"
