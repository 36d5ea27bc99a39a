"""The documentation is run: its commands parse, its example works, its figures are those that were measured."""

import importlib.util
import re
import shlex
import subprocess
import sys
import time
import tomllib
import uuid
from pathlib import Path

import mne
import numpy as np
import pylsl
import pytest
import typer

from brainloop import demo
from brainloop.cli import app
from brainloop.decoder.members import METHODS
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.presentation.block import Block
from brainloop.presentation.external import ExternalScreen

ROOT = Path(__file__).parents[1]
DOCS = [f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))]
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *DOCS]
COMMAND_LINE = typer.main.get_command(app)

spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
generate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generate)


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", read(page), re.DOTALL | re.MULTILINE)


def typed(page):
    """Every command that a page shows at a prompt, without the path of the environment's programs."""
    lines = [line for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ ")]
    return [line.removeprefix("$ ").removeprefix(".venv/bin/") for line in lines]


def parse(words):
    """Parse a command line as it would be parsed, and give what it calls; an error is a SystemExit or an exception."""
    context, command, name = None, COMMAND_LINE, "brainloop"
    while hasattr(command, "commands"):
        context = command.make_context(name, list(words), parent=context)
        left = [*context._protected_args, *context.args]
        if not left and command.invoke_without_command:
            return context.params
        name, command, words = command.resolve_command(context, left)
    return command.make_context(name, list(words), parent=context).params


COMMANDS = [(page, line) for page in PAGES for line in typed(page) if line.startswith("brainloop ")]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_every_command_that_is_shown_exists_with_its_options(page, line):
    assert isinstance(parse(shlex.split(line)[1:]), dict)


@pytest.mark.parametrize("line", ["brainloop fly", "brainloop new a b", "brainloop run a --fast", "brainloop bench x"])
def test_a_command_that_does_not_exist_would_be_noticed(line):
    with pytest.raises(Exception, match=r"(?i)no such|missing|unexpected"):
        parse(shlex.split(line)[1:])


def test_commands_are_shown_in_the_readme_and_the_tutorial():
    for page in ("README.md", "docs/tutorial.md"):
        shown = {line.split()[1] for where, line in COMMANDS if where == page}
        assert shown >= {"new", "run", "status", "report", "predict"}


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_is_shown_exists(page):
    targets = re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE)
    for line in typed(page):
        if line.startswith("make"):
            assert line.split()[1] in targets


def test_the_commands_page_is_what_the_program_says():
    assert read("docs/commands.md") == generate.commands_page(), "run: python docs/generate.py"


def test_the_figures_of_the_readme_are_those_that_were_measured():
    assert read("README.md") == generate.readme(), "run: python docs/generate.py"


def test_the_tables_of_the_decoders_page_are_those_that_were_measured():
    assert read("docs/decoder.md") == generate.decoder_page(), "run: python docs/generate.py"


def test_every_figure_has_a_command_that_prints_it():
    names = {path.stem.partition("-")[0] for path in (ROOT / "docs" / "figures").glob("*.json")}
    assert names <= set(COMMAND_LINE.commands["bench"].commands)
    rows = [line for line in generate.figures_table().splitlines() if line.startswith("| ")][1:]
    assert all("`brainloop bench " in row or "| the same |" in row for row in rows)


@pytest.fixture
def photographs_and_recording(photographs, tmp_path, monkeypatch):
    """What the README's example speaks of, in the folder where it is run."""
    monkeypatch.chdir(tmp_path)
    Path("photographs").mkdir()
    Path("photographs/sports_car").symlink_to(photographs / "rose")
    Path("photographs/other").symlink_to(photographs / "sky")
    wearer = SyntheticWearer(0)
    run = wearer.wear(np.arange(600) * 0.2, np.random.default_rng(0).random(600) < 0.15)
    raw = mne.io.RawArray(run.data, mne.create_info(list(wearer.channels), wearer.sfreq, "eeg"), verbose="error")
    names = np.where(run.is_target, "target", "nontarget")
    raw.set_annotations(mne.Annotations(run.onsets - run.times[0], 0, names))
    raw.save("sub-01_eeg.fif", verbose="error")
    return tmp_path


def test_the_python_example_of_the_readme_runs(photographs_and_recording, capsys):
    example, _ = blocks("README.md", "python")
    assert len(example.splitlines()) <= 12
    exec(example, {})
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"1 \d+ [01]\.\d+", lines[0])
    assert Path("cars/reports/report.html").stat().st_size > 100_000
    assert lines[-1].startswith("Prediction(path='")


def test_the_decoders_example_in_the_readme_runs(photographs_and_recording, capsys, monkeypatch):
    _, example = blocks("README.md", "python")
    monkeypatch.setitem(METHODS, "ensemble", ("lda", "xdawn_lda"))  # six fits of the whole one take a minute
    exec(example, {})
    cross_validated, held_out, evidence = capsys.readouterr().out.splitlines()
    assert 0.6 < float(cross_validated) < 1
    assert float(held_out.split()[0]) == pytest.approx(float(cross_validated), abs=0.05)
    assert len(re.findall(r"-?\d+\.\d*", evidence)) == 3


@pytest.mark.parametrize("number", [0, 1])
def test_the_examples_of_the_driving_page_run(number, capsys):
    examples = blocks("docs/driving.md", "python")
    assert len(examples) == 2
    exec(examples[number], {})
    if number == 0:
        assert re.match(r"(True|False) \d+\.\d+", capsys.readouterr().out)


def test_the_drive_of_the_driving_page_is_what_the_demo_prints(tmp_path):
    (shown,) = [block for block in blocks("docs/driving.md", "console") if "drive --demo" in block]
    shown = shown.splitlines()[1:]
    printed = generate.run_demo(tmp_path, "drive", "--demo", "--headless").splitlines()
    # What the road does is the same everywhere; when the EEG crosses a threshold may differ with the processor.
    for begins in ("careless drives", "driver", "The person is synthetic"):
        assert [line for line in printed if line.startswith(begins)] == [
            line for line in shown if line.startswith(begins)
        ]
    assert [line for line in printed if "hazard begins" in line] == [line for line in shown if "hazard begins" in line]
    assert any("detected, " in line for line in printed)


PSYCHOPY = """
import time
class Window:
    def __init__(self, **_): self.shown = time.monotonic()
    def getActualFrameRate(self): return 60.0
    def flip(self):
        self.shown = max(self.shown + 1 / 60, time.monotonic())
        time.sleep(max(0.0, self.shown - time.monotonic()))
class TextStim:
    def __init__(self, *_, **__): pass
    def draw(self): pass
class ImageStim(TextStim):
    def __init__(self, _, path): path.open("rb").close()
"""


def test_the_script_for_psychopy_shows_what_the_studio_plans(photographs, tmp_path):
    (script,) = blocks("docs/lab.md", "python")
    tag, plans = uuid.uuid4().hex, uuid.uuid4().hex
    script = script.replace("lab-markers", tag).replace("brainloop-plan", plans)
    (tmp_path / "psychopy").mkdir()
    (tmp_path / "psychopy" / "visual.py").write_text(PSYCHOPY)
    (tmp_path / "psychopy" / "event.py").write_text("getKeys = lambda keys=None: []\nclearEvents = lambda: None\n")
    (tmp_path / "script.py").write_text(script.replace('"photographs"', repr(str(photographs))))
    paths = [path.relative_to(photographs).as_posix() for path in sorted(photographs.glob("*/*.png"))[:5]]
    software = subprocess.Popen([sys.executable, tmp_path / "script.py"])
    try:
        while not pylsl.resolve_byprop("source_id", tag, timeout=0.2):
            assert software.poll() is None
        screen = ExternalScreen(tag, paths.__getitem__, source_id=plans)
        shown, deadline = [], time.monotonic() + 60
        showing = None
        while len(shown) < len(paths):
            assert software.poll() is None
            assert time.monotonic() < deadline
            if showing is None and screen._plans.is_heard:
                showing = screen.show(Block(1, 1, tuple(range(len(paths))), 0.1))
            shown += showing.poll(0.05).shown if showing else ()
        assert [(one.position, one.flaw == "missed") for one in shown] == [(k, False) for k in range(len(paths))]
        screen.close()
    finally:
        software.terminate()
        software.wait(10)


def test_the_demos_output_in_the_readme_is_what_the_demo_prints(tmp_path, request, monkeypatch):
    (shown,) = [block for block in blocks("README.md", "console") if block.startswith("$ brainloop demo")]
    shown = shown.splitlines()[1:]
    shared = tmp_path / "none" if "simulated" in shown[0] else request.getfixturevalue("shared")
    monkeypatch.setenv("BRAINLOOP_SHARED", str(shared))
    monkeypatch.setitem(demo.ROUNDS, "max_looks", 100)  # two rounds are enough to compare
    printed = generate.run_demo(tmp_path).splitlines()
    assert printed[:2] == shown[:2]
    assert printed[-1] == shown[-1]
    for here, there in zip(printed[2:4], shown[2:4], strict=True):
        assert here.split()[:3] == there.split()[:3]
        # Seconds differ from run to run, and last digits from one processor to another.
        assert float(here.split()[-3]) == pytest.approx(float(there.split()[-3]), abs=0.02)


def test_the_tutorials_tables_have_the_columns_of_the_program():
    from brainloop.cli import _head
    from brainloop.settings import Settings

    heads = [line for block in blocks("docs/tutorial.md", "console") for line in block.splitlines() if "looks" in line]
    assert len(heads) > 2
    assert set(heads) == {_head(Settings("photos", "rose"))}


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", read(page), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page} links to {link}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_dependency_has_its_line_of_reason():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    needs = sum(project["optional-dependencies"].values(), project["dependencies"])
    names = {re.match(r"[A-Za-z0-9_-]+", need)[0].lower() for need in needs} - {"brainloop"}
    section = read("docs/architecture.md").split("## Dependencies")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^\| `([\w-]+)` \| \S", section, re.MULTILINE)) == sorted(names)


def test_the_map_names_every_room_and_the_floors_that_the_house_holds():
    page = read("docs/architecture.md")
    source = ROOT / "src" / "brainloop"
    rooms = page.split("## Floors")[0]
    for path in source.iterdir():
        if not path.name.startswith("__"):
            assert f"`{path.name}{'/' if path.is_dir() else ''}`" in rooms or path.suffix == ".pyc"
    for path in source.glob("*/*.py"):
        if path.stem != "__init__":
            assert f"`{path.stem}`" in rooms, f"{path.relative_to(source)} has no word on the map"
    house = importlib.util.spec_from_file_location("house", ROOT / "tests" / "test_house.py")
    held = importlib.util.module_from_spec(house)
    house.loader.exec_module(held)
    (floors,) = [block for block in blocks("docs/architecture.md", "text") if block.startswith("cli")]
    told = [set(line.split()) for line in floors.splitlines()]
    assert told == [floor - {"__main__"} for floor in reversed(held.FLOORS)]


def test_the_methods_tell_the_four_systems_as_they_are():
    from brainloop.classifier.system import SYSTEMS

    section = read("docs/methods.md").split("## Four systems")[1].split("\n## ")[0]
    rows = [re.findall(r"[^|]+", line) for line in section.splitlines() if line.startswith("| `")]
    told = {name.strip(" `"): [cell.strip(" `") for cell in cells] for name, *cells in rows}
    assert told == {
        name: [of.rule, of.head, of.regularisation, of.query, of.start, "true" if of.told_truth else "of the observer"]
        for name, of in SYSTEMS.items()
    }


def test_the_methods_name_every_rule_head_regularisation_query_and_experiment():
    from brainloop.bench.experiments import EXPERIMENTS
    from brainloop.classifier.features import FEATURES
    from brainloop.classifier.heads import HEADS
    from brainloop.classifier.query import QUERIES
    from brainloop.classifier.regularisation import REGULARISATIONS
    from brainloop.labels import RULES

    sections = {part.splitlines()[0]: part for part in read("docs/methods.md").split("\n## ")}
    told = {
        "From evidence to labels": RULES,
        "Feature maps": FEATURES,
        "Heads": HEADS,
        "Regularisation": REGULARISATIONS,
        "Query and convergence": QUERIES,
        "Rehearsals and the talk's experiments": EXPERIMENTS,
    }
    for heading, names in told.items():
        assert [name for name in names if f"`{name}`" not in sections[heading]] == []


def test_the_store_is_described_as_it_is():
    from brainloop.store.tables import META

    tables = read("docs/architecture.md").split("## The store")[1].split("\n## ")[0]
    for table in META.sorted_tables:
        (row,) = [line for line in tables.splitlines() if line.startswith(f"| `{table.name}` |")]
        for column in table.columns:
            assert f"`{column.name}`" in row


def test_no_file_of_the_documentation_is_heavy():
    for path in (ROOT / "docs" / "_static").iterdir():
        assert path.stat().st_size < 150_000
