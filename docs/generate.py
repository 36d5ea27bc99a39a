"""Write what the pages repeat: the commands' help, the table of figures, and on request the demo's output and picture.

python docs/generate.py                     docs/commands.md and the README's table, from Typer and docs/figures/*.json
python docs/generate.py --demo              also runs the demo and puts its output and its AUC curve into the README
python docs/generate.py --picture STUDY     draws the AUC curve of another study instead

tests/test_docs.py fails where the pages are not what this writes.
"""

import argparse
import contextlib
import io
import json
import re
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
COMMANDS = ROOT / "docs" / "commands.md"
FIGURES = ROOT / "docs" / "figures"
PICTURE = ROOT / "docs" / "_static" / "auc.png"


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
            pages.append(f"## {name}\n\n{_text(command.help)}")
            pages += [_section(f"{name} {sub}", inner, "###") for sub, inner in command.commands.items()]
        else:
            pages.append(_section(name, command, "##"))
    return "\n\n".join(pages) + "\n"


def _section(name: str, command: Any, level: str) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
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
    if rounds := found.get("rounds"):
        slowest = max(value for rule in rounds["round_s"].values() for value in rule.values())
        rows.append(
            "| machine time of a round (labels, head, scoring, query), slowest of both rules at 200 to 1,600 looks, "
            f"pool of {rounds['pool']:,} x {rounds['width']} | {slowest:.2f} s | 1 s | `brainloop bench rounds` |"
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
    for figures in found.values():
        about = figures["machine"]
        machines.add(
            f"{about['processor']}, {about['cores']} cores, Python {about['python']}, numpy {about['numpy']}, "
            f"ONNX Runtime {about['onnxruntime']}"
        )
    return "\n".join([*rows, "", f"Machine: {'; '.join(sorted(machines))}."])


def run_demo(folder: Path) -> str:
    """Run the demo in a folder, with or without real recordings as the environment has it, and give its output."""
    from brainloop.cli import app

    output = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(output):
        app(["demo"], standalone_mode=False)
    return output.getvalue()


def draw(study: Path) -> None:
    """Draw a study's AUC over looks for the README."""
    from brainloop.report.figures import save_png
    from brainloop.study import Study

    save_png(Study.open(study), PICTURE, dpi=160)


def between(text: str, name: str, new: str) -> str:
    """Put new text between a page's two markers of that name."""
    marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    if not marked.search(text):
        raise SystemExit(f"expected the markers of {name!r} in {README}")
    return marked.sub(lambda found: f"{found[1]}{new}\n{found[2]}", text)


def readme() -> str:
    """Give the README with the table of figures as it should be."""
    return between(README.read_text(encoding="utf-8"), "figures", figures_table())


def main() -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--picture", type=Path, metavar="STUDY")
    given = parser.parse_args()
    COMMANDS.write_text(commands_page(), encoding="utf-8")
    README.write_text(readme(), encoding="utf-8")
    if given.demo:
        with tempfile.TemporaryDirectory() as folder:
            output = run_demo(Path(folder))
            if given.picture is None:
                draw(Path(folder) / "demo" / "study-001")
        shown = f"```console\n$ brainloop demo\n{output.rstrip()}\n```"
        README.write_text(between(README.read_text(encoding="utf-8"), "demo", shown), encoding="utf-8")
    if given.picture is not None:
        draw(given.picture)


if __name__ == "__main__":
    main()
