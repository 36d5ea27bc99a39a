"""Write what the pages repeat: the commands' help, the table of figures, and on request the demo's output and picture.

python docs/generate.py                     docs/commands.md and the README's table, from Typer and docs/figures/*.json
python docs/generate.py --demo              also runs the demo and puts its output and its AUC curve into the README,
                                            and the drive's output into docs/driving.md
python docs/generate.py --picture STUDY     draws the AUC curve of another study instead
python docs/generate.py --talk NAME=FOLDER  keeps the figures that `brainloop bench talk --out FOLDER` wrote;
                                            of NAME talk-ten the page too, of NAME talk the headline
python docs/generate.py --decoder JSON      keeps the figures that `brainloop bench decoder --json JSON` wrote, and
                                            draws them for docs/decoder.md
python docs/generate.py --use NAME=JSON     the same of `brainloop bench NAME --json JSON` and docs/NAME.md

tests/test_docs.py fails where the pages are not what this writes.
"""

import argparse
import contextlib
import io
import json
import re
import tempfile
from importlib import import_module
from pathlib import Path
from shutil import copyfile
from typing import Any

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
COMMANDS = ROOT / "docs" / "commands.md"
FIGURES = ROOT / "docs" / "figures"
PICTURE = ROOT / "docs" / "_static" / "auc.png"
TALK = ROOT / "docs" / "_static" / "talk"
DECODER = ROOT / "docs" / "decoder.md"
DECODER_PICTURES = ROOT / "docs" / "_static" / "decoder"


def commands_page() -> str:
    """Give docs/commands.md."""
    import typer

    from brainloop.cli import app

    group: Any = typer.main.get_command(app)
    head = [
        "# Commands",
        "",
        "Each command as `--help` tells it. This page is written by `python docs/generate.py` from the program itself.",
        "",
        "Progress, skipped files and errors go to standard error, results to standard output.",
        "The exit status is 0, or 1 after an error that says what to do, 2 for a mistyped command, 130 after Ctrl-C.",
    ]
    pages = ["\n".join(head)]
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            alone = command.invoke_without_command  # a command of its own, too
            pages.append(_section(name, command, "##") if alone else f"## {name}\n\n{_text(command.help)}")
            pages += [_section(f"{name} {sub}", inner, "###") for sub, inner in command.commands.items()]
        else:
            pages.append(_section(name, command, "##"))
    return "\n\n".join(pages) + "\n"


def _section(name: str, command: Any, level: str) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument" and not getattr(p, "hidden", False)]
    options = [p for p in command.params if p.param_type_name == "option"]
    words = " ".join(p.metavar for p in arguments)
    needed = "".join(f" {p.opts[0]} {p.name.upper()}" for p in options if p.required)
    rest = " [OPTIONS]" if len(options) > sum(p.required for p in options) else ""
    lines = [
        f"{level} {name}",
        "",
        _text(command.help),
        "",
        "```text",
        f"brainloop {name} {words}{needed}{rest}".replace("  ", " "),
        "```",
        "",
        "| | what | default |",
        "|---|---|---|",
    ]
    lines += [f"| `{p.metavar}` | {_text(p.help)} | |" for p in arguments]
    for option in options:
        spelled = ", ".join(f"`{word}`" for word in [*option.opts, *option.secondary_opts])
        default = "required" if option.required else "" if option.default is None else f"`{option.default}`"
        lines.append(f"| {spelled} | {_text(option.help)} | {default} |")
    return "\n".join(lines)


def _text(words: str | None) -> str:
    return " ".join((words or "").split()).replace("|", "\\|")


def figures_table() -> str:
    """Give the README's table of figures, from what the bench commands wrote into docs/figures."""
    rows = ["| measured | figure | bar | printed by |", "|---|---|---|---|"]
    machines = set()
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FIGURES.glob("*.json")}
    rows += _talk_rows(found)
    rows += _decoder_rows(found)
    rows += _live_rows(found)
    rows += _use_rows(found)
    for name, bar in (("rounds", ".5 s"), ("rounds-100000", "3 s")):
        if rounds := found.get(name):
            slowest = max(rounds["round_s"]["brainloop"].values())
            rows.append(
                "| machine time of a round of `brainloop` (labels, head, scoring, query), slowest of the first "
                f"and those at 200 to 1,600 looks, pool of {rounds['pool']:,} x {rounds['width']} | "
                f"{slowest:.2f} s | {bar} | `brainloop bench rounds --pool {rounds['pool']}` |"
            )
            rows.append(
                "| the same of `talk`; and once a study, the features of the pool for `brainloop` | "
                f"{max(rounds['round_s']['talk'].values()):.2f} s; "
                f"{rounds['features_s']['brainloop']:.1f} s | | the same |"
            )
    if embed := found.get("embed"):
        for what, key in (("decoded", "ratio"), ("decoded, resized and cropped", "ratio_prepared")):
            rows.append(
                f"| embedding end to end over inference alone on arrays already {what}, {embed['images']:,} photos | "
                f"{embed[key]['median']:.3f} [{embed[key]['lowest']:.3f}, {embed[key]['highest']:.3f}] | "
                f"{'.9' if key == 'ratio' else ''} | `brainloop bench embed IMAGES --backbone FOLDER` |"
            )
        rows.append(
            "| images a second, end to end and by inference alone on decoded arrays | "
            f"{embed['end_to_end_images_per_s']['median']:.0f}, {embed['inference_images_per_s']['median']:.0f} | | "
            "`brainloop bench embed` |"
        )
        rows.append(
            f"| largest difference of vectors | {embed['largest_difference']:.1e} | 1e-3 | `brainloop bench embed` |"
        )
    if kills := found.get("kills"):
        rows.append(
            f"| {kills['kills']} kills (SIGKILL) at random instants over {kills['studies']} studies and "
            f"{kills['responses']:,} responses: lost, doubled, other ends | {kills['lost']}, {kills['doubled']}, "
            f"{kills['different_ends']} | 0, 0, 0 | `brainloop bench kills --kills {kills['kills']}` |"
        )
    for about in (figures["machine"] for figures in found.values() if "machine" in figures):
        machines.add(
            f"{about['processor']}, {about['cores']} cores, Python {about['python']}, numpy {about['numpy']}, "
            f"ONNX Runtime {about['onnxruntime']}"
        )
    return "\n".join([*rows, "", f"Machine: {'; '.join(sorted(machines))}."])


POOR, GOOD = "muse-oddball/sub-01", "gtec-speller/sub-03"


def _talk_rows(found: dict[str, Any]) -> list[str]:
    """Give the rows of the talk's experiments that have a bar."""
    rows = []
    if talk := found.get("talk"):
        by, how = (
            {row["recording"]: row for row in talk["by_recording"]},
            "`brainloop bench talk --only 1`, as above",
        )
        for person, bars in ((POOR, "+.020, +.035, +.035"), (GOOD, "+.015, +.020, +.020")):
            ours = by[person]["systems"]["brainloop"]
            gains = ", ".join(_gain(ours, k) for k in (0, 1, 4))
            rows.append(
                f"| gain in AUC of `brainloop` over `talk` at 200, 400, 795 looks, three tasks, {person} (decoder AUC "
                f"{by[person]['observer_auc']:.2f}), ± one SE | {gains} | {bars} | {how} |"
            )
            worst = min(
                (row for row in talk["by"] if row["recording"] == person),
                key=lambda row: row["systems"]["brainloop"]["gain"][4],
            )
            rows.append(
                f"| least gain of a task at 795 looks, {person}: {worst['task']} | "
                f"{_gain(worst['systems']['brainloop'], 4)} | above -1 SE | the same |"
            )
        cars = [
            row["systems"]["brainloop"]
            for row in talk["by"]
            if row["task"] == "sports_car" and row["recording"].startswith("gtec")
        ]
        means = ", ".join(_auc(sum(one["auc"][k] for one in cars) / len(cars)) for k in range(5))
        spread = ", ".join(_auc(sum(one["sd"][k] for one in cars) / len(cars)) for k in range(5))
        rows.append(
            "| AUC of `brainloop` on sports cars against all others, g.tec people 1 to 3, at 200, 400, 589, 718, "
            f"795 looks (SD between seeds {spread}) | {means} | .935, .950, .958, .963, .965 | the same |"
        )
    if fillers := found.get("talk-fillers"):
        time = fillers["experiments"]["time"]["series"]["brainloop"]
        reached = time["minutes_to_fast"][4]
        rows.append(
            "| minutes, viewing at 5 Hz with rests and machine, to AUC .92 on sports cars, g.tec people 1 to 3, "
            f"fillers on | {'not reached' if reached is None else f'{reached:.1f}'} | 2.0 | "
            "`brainloop bench talk --compose on --only 5` |"
        )
    if hard := found.get("talk-hard") or found.get("talk-ten"):
        series = hard["experiments"]["difficulty"]["series"]["brainloop"]
        one = {what: series[what][-1] for what in ("gain", "gain_se")}  # difficulties 0, .5 and 1
        gains = ", ".join(_gain(one, k) for k in range(5))
        rows.append(
            "| gain of `brainloop` over `talk` at difficulty 1, five checkpoints, three tasks, four observers, "
            f"{len(hard['settings']['seeds'])} seeds | {gains} | above -1 SE | `brainloop bench talk --only 9` |"
        )
        gains = ", ".join(_gain(hard["experiments"]["difficulty"]["poor"], k) for k in range(5))
        rows.append(
            f"| the same with the poor observer alone, {POOR}; its error is that between seeds: late, `talk` is ahead "
            f"| {gains} | | the same |"
        )
    return rows


SPLITS = {"blocks": "five blocks", "time": "first 40 % trains"}
DECODER_BARS = {"gtec-speller": ("+.010", ".940, .916"), "muse-oddball": ("+.012", ".775, .760")}
"""Of each data set: the ensemble's gain over the best single decoder, and its AUC in blocks and in time."""


def _decoder_rows(found: dict[str, Any]) -> list[str]:
    """Give the rows of the decoder's bench that have a bar."""
    if "decoder" not in found:
        return []
    measured, printed = found["decoder"], "`brainloop bench decoder`, as above"
    rows: list[tuple[str, str, str]] = []
    for dataset, (gain, auc) in DECODER_BARS.items():
        splits = list(measured["datasets"].get(dataset, {}).values())
        if splits:
            best = ", ".join(f"`{one['best']}`" for one in splits)
            rows += [
                (
                    f"gain in AUC of the ensemble over the best single decoder ({best}), {dataset}, blocks and time",
                    ", ".join(_signed(one["gain"]) for one in splits),
                    gain,
                ),
                (
                    f"AUC of the ensemble, mean over {dataset}, blocks and time",
                    ", ".join(_auc(one["auc"]["ensemble"]) for one in splits),
                    auc,
                ),
            ]
        if splits and dataset == "gtec-speller":
            rows.append(
                (
                    "gain in AUC over a person's own best single decoder, least of the g.tec people, blocks and time",
                    ", ".join(_signed(one["worst"]["gain"]) for one in splits),
                    "-.005",
                )
            )
    newcomers = [measured["transfer"][n]["auc"] for n in ("0", "50", "100", "200")]
    if None not in newcomers:
        words = "AUC of the ensemble on a new person with 0, 50, 100, 200 own trials, mean"
        rows.append((words, ", ".join(map(_auc, newcomers)), ".79, .83, .865, .89"))
    methods = [row["methods"] for row in measured["recordings"]]
    eces = [of["ensemble"][split]["ece"] for of in methods for split in SPLITS if "ece" in of["ensemble"][split]]
    rows.append(("ECE of the ensemble, 15 bins, lowest and highest of all recordings and splits", _range(eces), ".05"))
    for control, words, bar in (
        ("control_permuted", "AUC with permuted labels, mean of 20", ".47 to .53"),
        ("control_prestimulus", "AUC before the image, -0.1 to 0 s", ".40 to .60, mean .45 to .55"),
    ):
        aucs = [of[control][split]["auc"] for of in methods for split in SPLITS if "auc" in of[control][split]]
        mean = _auc(sum(aucs) / len(aucs))
        rows.append((f"{words}, lowest and highest of all recordings and splits; mean", f"{_range(aucs)}; {mean}", bar))
    fast = measured["speed"]
    rows += [
        (
            f"fit of the ensemble with calibration, {' and '.join(fast['fit_s'])} (trials x channels)",
            ", ".join(f"{seconds:.1f} s" for seconds in fast["fit_s"].values()),
            "12 s, 30 s",
        ),
        (
            f"one epoch of {fast['epoch_ms']['channels']} channels to evidence, one thread, p50 and p99",
            f"{fast['epoch_ms']['p50']:.1f} ms, {fast['epoch_ms']['p99']:.1f} ms",
            "5 ms, 20 ms",
        ),
        ("time of training ten networks over one in the same loop", f"{fast['networks']['ratio']:.1f}", "3"),
    ]
    return [f"| {words} | {figure} | {bar} | {printed} |" for words, figure, bar in rows]


def _use_rows(found: dict[str, Any]) -> list[str]:
    """Give the rows of the uses that have a bar."""
    rows = []
    if classes := found.get("classes"):
        rest = classes["talk_one_vs_rest"]
        rows.append(
            f"| accuracy, five flowers, g.tec people replayed, images never shown, {classes['looks'][-1]:,} looks (SD "
            f"between seeds {_auc(classes['sd'])}) | {_auc(classes['accuracy'])} | .78 | `brainloop bench classes` |"
        )
        rows.append(
            "| the same over one classifier a class against the rest, learning the talk's way, ± one SE | "
            f"{_signed(rest['gain'][-1])} ± {_auc(rest['gain_se'][-1])} | +.02 | the same |"
        )
    if audit := found.get("audit"):
        over = audit["precision_over_cleanlab"]
        rows.append(
            "| precision at the number of errors, 10 % of the annotations of five flowers wrong, classifier then brain "
            f"over cleanlab, ± one SE | {_auc(audit['shortlist']['precision_at_errors'])} over "
            f"{_auc(audit['cleanlab']['precision_at_errors'])}: {_signed(over['gain'])} ± {_auc(over['gain_se'])} | "
            "+.06 | `brainloop bench audit` |"
        )
        rows.append(
            "| errors left in the amended annotations, and right ones changed | "
            f"{audit['errors_left_share']:.1%}, {audit['right_changed_share']:.2%} | 60 %, 2 % | the same |"
        )
    if fusion := found.get("fusion"):
        auc = {name: _auc(one["auc"]) for name, one in fusion.items() if isinstance(one, dict) and "auc" in one}
        rows.append(
            "| AUC of classifier, brain, late, stacked, joint, in the cell nearest to .85 and .85, cars | "
            f"{auc['classifier']}, {auc['brain']}, {auc['late']}, {auc['stacked']}, {auc['joint']} | late +.05 over "
            "the better | `brainloop bench fusion` |"
        )
        rows.append(
            "| the same with shuffled EEG, late, stacked, joint | "
            f"{auc['late_shuffled']}, {auc['stacked_shuffled']}, {auc['joint_shuffled']} | classifier ± .01 | "
            "the same |"
        )
    if review := found.get("review"):
        at = review["rates"][len(review["rates"]) // 2]
        ours = at["review"]
        rows.append(
            f"| review at {at['rate']:.0%} targets: precision, recall, images an hour; F1 of the model alone | "
            f"{_auc(ours['precision'])}, {_auc(ours['recall'])}, {ours['images_per_hour']:,.0f}; "
            f"{_auc(at['model']['f1'])} | | `brainloop bench review` |"
        )
    if (scale := found.get("scale")) and "speed_ratio" in scale:
        rows.append(
            f"| score and query of {scale['rows']:,} x 1280 float16: speed over a chunked product's over the same "
            "file, linear head and kernel head; peak anonymous memory | "
            f"{scale['speed_ratio']:.2f}, {scale['kernel_speed_ratio']:.2f}; {scale['anonymous_memory_mib']:.0f} MiB | "
            ".8, .7; 512 MiB | `brainloop bench scale` |"
        )
    if scale and "ray_overhead" in scale:
        rows.append(
            "| Ray on two workers: largest difference of scores, overhead on 200,000 rows (kernel head) | "
            f"{scale['ray_max_difference']:.0e}, {scale['ray_overhead']:+.0%} | 1e-5, 25 % | the same |"
        )
    if scale and "stations" in scale:
        rows.append(
            "| four stations on one PostgreSQL, each killed, the server restarted: looks lost, double leases | "
            f"{scale['stations']['looks_lost']}, {scale['stations']['double_leases']} | 0, 0 | the same |"
        )
    if scale and "people" in scale:
        people = scale["people"]
        rows.append(
            "| AUC of four people of decoder AUC .75, one look each; with one of them at random | "
            f"{_auc(people['four'])}, {_auc(people['one_random'])} | {_auc(people['predicted'])} and three people's, "
            "± .02 | the same |"
        )
    if drive := found.get("drive"):
        agents, seen = drive["agents"], drive["detection"]
        rate = {name: f"{one['collision_rate']:.1%}" for name, one in agents.items()}
        rows.append(
            f"| drives that end in a collision, on roads never seen ({len(drive['seeds'])} seeds): reward alone, with "
            "a simulated brain, with a reward model in its place, with feedback at random | "
            f"{rate['plain']}, {rate['brain']}, {rate['reward_model']}, {rate['random_feedback']} | half; .9 of that "
            "gain; none | `brainloop bench drive` |"
        )
        rows.append(
            "| progress of the same, as a share of what the limit allows | "
            f"{agents['plain']['progress']:.0%}, {agents['brain']['progress']:.0%}, "
            f"{agents['reward_model']['progress']:.0%}, {agents['random_feedback']['progress']:.0%} | .9 of the first "
            "| the same |"
        )
        rows.append(
            "| hazards in running simulated EEG, no trigger: AUC; hits at two false alarms a minute, and by chance; "
            f"median latency | {_auc(seen['auc'])}; {_auc(seen['hits'])}, {_auc(seen['chance_hits'])}; "
            f"{seen['latency_s']:.2f} s | .85; .30; 1.0 s | the same |"
        )
    return rows


def _live_rows(found: dict[str, Any]) -> list[str]:
    """Give the rows of the live path, whose bars are those of a sitting at 10 images a second with 64 channels."""
    live = found.get("live")
    if live is None:
        return []
    how, same = "`brainloop bench live`", "the same"
    clock, wait, auc, at = live["clock_error_ms"], live["evidence_latency_ms"], live["auc"], live["auc_interval"]
    model, gallery = live["keyboard_model"], live["gallery"]
    reaction = f"{1e3 * model['rt_mean']:.0f} ms, SD {1e3 * model['rt_sd']:.0f} ms"
    person = (
        f"reaction time {reaction}, {100 * model['misses']:.0f} % misses, {model['false_per_minute']:g} false presses "
        f"a minute{', attentional blink' if model['blink'] else ''}"
    )
    shown = f"{live['presentations']} at 10 Hz, 64 channels at 512 Hz, a training beside"
    rows = [
        (
            f"presentations more than half a frame off, of {shown}",
            f"{100 * live['late_share']:.1f} %",
            "1 %",
            how,
        ),
        ("drift over the block, frames", f"{abs(live['drift_frames']):.2f}", "1", same),
        (
            f"clock of the page against liblsl's, {clock['blocks']} blocks: median, greatest error",
            f"{clock['median']:.2f} ms, {clock['max']:.2f} ms",
            ".3 ms, 1 ms",
            same,
        ),
        ("samples lost, markers lost", f"{live['samples_lost']}, {live['markers_lost']}", "0, 0", same),
        (
            "evidence after the epoch's last sample arrived, p50 and p99",
            f"{wait['p50']:.0f} ms, {wait['p99']:.0f} ms",
            "p99 100 ms",
            same,
        ),
        (
            "single-trial AUC of a synthetic wearer, live and offline from the recording of that session",
            f"{_between(auc['live'], at['live'])}, {_between(auc['offline'], at['offline'])}",
            ".89 where offline is .90",
            same,
        ),
        (
            "the same, live, of a wearer without any response",
            _between(auc["no_response"], at["no_response"]),
            ".5",
            same,
        ),
        (
            f"AUC by the space bar at 5 Hz, 20 synthetic people ({person}), ± SD",
            f"{_auc(auc['keyboard'])} ± {_auc(at['keyboard_sd'])}",
            ".88",
            same,
        ),
        ("first page usable after `brainloop studio`", f"{live['usable_after_s']:.1f} s", "2 s", same),
        (
            f"a gallery of {gallery['images']:,} images, scrolled from end to end: p99 and longest time between frames",
            f"{gallery['p99_frame_ms']:.0f} ms, {gallery['longest_frame_ms']:.0f} ms",
            "no stall",
            same,
        ),
    ]
    return [f"| {words} | {figure} | {bar} | {printed} |" for words, figure, bar, printed in rows]


def _between(value: float, interval: list[float]) -> str:
    return f"{_auc(value)} [{_auc(interval[0])}, {_auc(interval[1])}]"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("0.", ".")


def _range(values: list[float]) -> str:
    return f"{_auc(min(values))} to {_auc(max(values))}"


def decoder_means() -> str:
    """Give the README's table of decoders: means over the recordings of a data set."""
    path = FIGURES / "decoder.json"
    if not path.exists():
        return "Not measured yet."
    figures = json.loads(path.read_text(encoding="utf-8"))
    rows: list[list[str]] = []
    for dataset, splits in figures["datasets"].items():
        for split, one in splits.items():
            gain = f"{_signed(one['gain'])} over `{one['best']}`"
            rows.append([f"{dataset}, {one['n']} recordings", SPLITS[split], *map(_auc, one["auc"].values()), gain])
    first = next(iter(figures["datasets"].values()))
    methods = next(iter(first.values()))["auc"]
    head = ["mean AUC, single trials", "split in time", *(f"`{name}`" for name in methods), "gain"]
    lines = [f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows]]
    return "\n".join([*lines, "", f"```console\n$ {figures['command']}\n```"])


def headline() -> str:
    """Give the README's table of the four systems, on a poor and on a good observer."""
    path = FIGURES / "talk.json"
    if not path.exists():
        return ""
    talk = json.loads(path.read_text(encoding="utf-8"))
    by = {row["recording"]: row for row in talk["by_recording"]}
    rows = ["| observer | system | 200 looks | 400 | 589 | 718 | 795 |", "|---|---|---|---|---|---|---|"]
    for person, what in ((POOR, "poor: Muse, 4 dry channels"), (GOOD, "good: g.tec person 3, 8 wet channels")):
        about = f"{what}, decoder AUC {by[person]['observer_auc']:.2f}"
        for name, one in by[person]["systems"].items():
            cells = " | ".join(f"{_auc(auc)} ± {_auc(sd)}" for auc, sd in zip(one["auc"], one["sd"], strict=True))
            rows.append(f"| {about} | `{name}` | {cells} |")
        ours = by[person]["systems"]["brainloop"]
        rows.append(f"| | `brainloop` over `talk` | {' | '.join(_gain(ours, k) for k in range(5))} |")
    own = ROOT / "docs" / "figures" / "talk-ten.json"
    if own.exists():
        zero = json.loads(own.read_text(encoding="utf-8"))["experiments"]["zero_label"]
        if zero["own"] is not None:
            rows.append(
                f"| nobody | the backbone's own class, {', '.join(zero['tasks'])} | "
                f"{_auc(zero['own']['auc'])} | | | | |"
            )
    rows.append("| another person, other images | InnerEye 2019, its own figures | .800 | .860 | .880 | .900 | .920 |")
    about = (
        f"Mean over the tasks {', '.join(talk['settings']['tasks'])}, {len(talk['settings']['seeds'])} seeds from "
        f"{talk['settings']['seeds'][0]}, {talk['settings']['prevalence']:.0%} targets, no fillers; ± is the SD "
        "between seeds, and one standard error for a gain."
    )
    last = talk["checkpoints"][-1]
    by_task = [
        f"with {person} "
        + ", ".join(
            f"{row['task']} {_gain(row['systems']['brainloop'], -1)}"
            for row in talk["by"]
            if row["recording"] == person
        )
        for person in (POOR, GOOD)
    ]
    tasks = (
        f"By task, the gain at {last} looks is, {'; '.join(by_task)}. A task's error is that between seeds. The "
        "error of the mean is that between tasks, which is the larger, as the gain depends on how hard the task is."
    )
    command = f"```console\n$ {talk['command']}\n```"
    return "\n".join([about, "", *rows, "", tasks, "", command])


def gains() -> str:
    """Say where the gain comes from and where there is none, from the ablations at the first and last checkpoint."""
    from brainloop.bench.talk_markdown import verdict

    path = FIGURES / "talk.json"
    if not path.exists():
        return ""
    talk = json.loads(path.read_text(encoding="utf-8"))
    ablations = talk["experiments"]["checkpoints"]
    lines = [
        (
            "Where the gain comes from and where there is none: `brainloop` against itself with one part taken from "
            "`talk`, over all tasks and all four observers. A gain within two standard errors is called no difference "
            "found."
        ),
        "",
        f"| part | after {talk['checkpoints'][0]} looks | after {talk['checkpoints'][-1]} looks |",
        "|---|---|---|",
    ]
    for part, one in ablations["worth"].items():
        found = " | ".join(verdict(one["gain"][k], one["gain_se"][k]) for k in (0, -1))
        lines.append(f"| {part}: `{_part('brainloop', part)}` in place of `{_part('talk', part)}` | {found} |")
    for name, one in ablations["series"].items():
        if name.startswith("talk, "):
            found = " | ".join(verdict(one["gain"][k], one["gain_se"][k]) for k in (0, -1))
            lines.append(f"| `{name}`, over `talk` | {found} |")
    return "\n".join(lines)


def _part(system: str, part: str) -> str:
    from brainloop.classifier.system import SYSTEMS

    return str(getattr(SYSTEMS[system], part))


def _auc(value: float) -> str:
    return f"{value:.3f}".lstrip("0")


def _gain(one: dict[str, Any], k: int) -> str:
    return f"{one['gain'][k]:+.3f} ± {one['gain_se'][k]:.3f}".replace("0.", ".")


def keep(name: str, folder: Path) -> None:
    """Keep what the bench of the talk wrote: its figures but for those of single cells, and of the ten the page."""
    figures = json.loads((folder / "talk.json").read_text(encoding="utf-8"))
    figures["command"] = re.sub(r"--out \S+", "--out talk", figures["command"])
    for key, experiment in figures["experiments"].items():
        cells = experiment.pop("by", [])
        if key == "difficulty":  # what the mean over observers would hide
            poor = [cell["series"]["brainloop"] for cell in cells if cell["recording"] == POOR]
            gains, errors = ([one[what][-1] for one in poor] for what in ("gain", "gain_se"))
            experiment["poor"] = {
                "gain": [sum(at) / len(at) for at in zip(*gains, strict=True)],
                "gain_se": [sum(e * e for e in at) ** 0.5 / len(at) for at in zip(*errors, strict=True)],
            }
    (FIGURES / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    TALK.mkdir(exist_ok=True)
    if name == "talk":
        copyfile(folder / "headline.png", TALK / "headline-20.png")
    if name == "talk-ten":
        for picture in folder.glob("*.png"):
            copyfile(picture, TALK / picture.name)
        page = re.sub(r"--out \S+", "--out talk", (folder / "talk.md").read_text(encoding="utf-8"))
        (ROOT / "docs" / "talk.md").write_text(
            re.sub(r"\]\(([\w-]+\.png)\)", r"](_static/talk/\1)", page), encoding="utf-8"
        )


def keep_decoder(path: Path) -> None:
    """Keep what the bench of the decoder wrote, and draw it."""
    from brainloop.bench.decoder_figures import draw as draw_decoder

    figures = json.loads(path.read_text(encoding="utf-8"))
    figures["command"] = re.sub(r"--json \S+", "--json decoder.json", figures["command"])
    (FIGURES / "decoder.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    draw_decoder(figures, DECODER_PICTURES)


def decoder_page() -> str:
    """Give docs/decoder.md with the tables as they should be."""
    from brainloop.bench.decoder_markdown import tables

    page, path = DECODER.read_text(encoding="utf-8"), FIGURES / "decoder.json"
    if not path.exists():
        return page
    figures = json.loads(path.read_text(encoding="utf-8"))
    parts = [f"```console\n$ {figures['command']}\n```"]
    for name, words in (("auc", "AUC of every method on every recording"), ("transfer", "AUC over own trials")):
        if (DECODER_PICTURES / f"{name}.png").exists():
            parts.append(f"![{words}](_static/decoder/{name}.png)")
    return between(page, "decoder", "\n\n".join([*parts, tables(figures)]))


USES = {
    "classes": "accuracy over looks of every way to learn, and the confusion matrix after the last look",
    "fusion": "AUC of both together over that of the better one, and the cell at the top",
    "review": "precision and recall over images an hour, and F1 over the rate of targets",
    "drive": "collisions and progress over steps of training, with and without the brain; hits over false alarms",
    "scale": "time of every stage over images, and of a scan and of each index over rows",
}
"""Uses whose page has a table and a picture of its bench: what the picture shows."""


def use_path(name: str) -> Path:
    """Give where the page of a use is."""
    return ROOT / "docs" / f"{'driving' if name == 'drive' else name}.md"


def keep_use(name: str, path: Path) -> None:
    """Keep what the bench of a use wrote, and draw it."""
    draw_use = import_module(f"brainloop.bench.{name}_figures").draw
    figures = json.loads(path.read_text(encoding="utf-8"))
    figures["command"] = re.sub(r"--json \S+", f"--json {name}.json", figures["command"])
    (FIGURES / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    draw_use(figures, ROOT / "docs" / "_static" / "uses" / f"{name}.png")


def use_page(name: str) -> str:
    """Give the page of a use, with the tables as they should be."""
    page, path = use_path(name).read_text(encoding="utf-8"), FIGURES / f"{name}.json"
    if not path.exists():
        return page
    figures = json.loads(path.read_text(encoding="utf-8"))
    tables = import_module(f"brainloop.bench.{name}_markdown").tables(figures)
    command = f"```console\n$ {figures['command']}\n```"
    return between(page, name, f"{command}\n\n![{USES[name]}](_static/uses/{name}.png)\n\n{tables}")


def run_demo(folder: Path, *words: str) -> str:
    """Run the demo, or another command, in a folder, with or without real recordings as the environment has it.

    Returns
    -------
    str
        Its output.
    """
    from brainloop.cli import app

    output = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(output):
        app(list(words) or ["demo"], standalone_mode=False)
    return output.getvalue()


def driving_page() -> str:
    """Give docs/driving.md with what `brainloop drive --demo` prints where there is no screen."""
    output = run_demo(ROOT, "drive", "--demo", "--headless")
    shown = f"```console\n$ brainloop drive --demo\n{output.rstrip()}\n```"
    return between(use_path("drive").read_text(encoding="utf-8"), "drive-demo", shown)


def draw(study: Path) -> None:
    """Draw a study's AUC over looks for the README."""
    from brainloop.report.figures import save_png
    from brainloop.study import Study

    save_png(Study.open(study), PICTURE, dpi=160)


def between(text: str, name: str, new: str) -> str:
    """Put new text between a page's two markers of that name."""
    marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    if not marked.search(text):
        raise SystemExit(f"expected a page with the markers of {name!r}")
    return marked.sub(lambda found: f"{found[1]}{new}\n{found[2]}", text)


def readme() -> str:
    """Give the README with the table of figures as it should be."""
    page = README.read_text(encoding="utf-8")
    tables = {"headline": headline, "gains": gains, "decoder": decoder_means, "figures": figures_table}
    for name, write in tables.items():
        page = between(page, name, write())
    return page


def main() -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--picture", type=Path, metavar="STUDY")
    parser.add_argument("--talk", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--decoder", type=Path, metavar="JSON")
    parser.add_argument("--use", action="append", default=[], metavar="NAME=JSON")
    given = parser.parse_args()
    for one in given.use:
        name, _, path = one.partition("=")
        keep_use(name, Path(path))
    for one in given.talk:
        name, _, folder = one.partition("=")
        keep(name, Path(folder))
    if given.decoder is not None:
        keep_decoder(given.decoder)
    DECODER.write_text(decoder_page(), encoding="utf-8")
    for name in USES:
        use_path(name).write_text(use_page(name), encoding="utf-8")
    COMMANDS.write_text(commands_page(), encoding="utf-8")
    README.write_text(readme(), encoding="utf-8")
    if given.demo:
        with tempfile.TemporaryDirectory() as folder:
            output = run_demo(Path(folder))
            if given.picture is None:
                draw(Path(folder) / "demo" / "study-001")
        shown = f"```console\n$ brainloop demo\n{output.rstrip()}\n```"
        README.write_text(between(README.read_text(encoding="utf-8"), "demo", shown), encoding="utf-8")
        use_path("drive").write_text(driving_page(), encoding="utf-8")
    if given.picture is not None:
        draw(given.picture)


if __name__ == "__main__":
    main()
