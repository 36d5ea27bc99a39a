"""The rules of the house: floors, public names, errors that carry their remedy."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import brainloop
from brainloop import errors

SOURCE = Path(brainloop.__file__).parent

FLOORS = [
    {"errors", "_types", "_files", "_tables", "_blas"},
    {"evidence", "labels", "images", "eeg", "settings", "consent", "annotations", "engine", "agreement"},
    {"classifier", "decoder", "presentation", "store"},
    {"collection"},
    {"parts", "station", "models", "study", "observers", "demo"},
    {"uses"},
    {"loop", "prediction", "listing", "calibration", "people", "exports", "drawing"},
    {"rehearsal"},
    {"driving"},
    {"report"},
    {"studio"},
    {"bench"},
    {"cli", "cli_audit", "cli_bench", "cli_bench_uses", "cli_collection", "cli_decoder", "cli_drive"}
    | {"cli_export", "cli_fuse", "cli_headset", "cli_people", "cli_review", "cli_stations", "cli_studio", "cli_timing"}
    | {"terminal", "__main__"},
]
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            if name.startswith("brainloop."):
                yield name.split(".")[1]


def room_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nobody_imports_upward(path):
    here = room_of(path)
    for room in imported_rooms(path):
        assert FLOOR[room] <= FLOOR[here], f"{here} imports {room}, which is above it"


@pytest.mark.parametrize(("here", "there"), [("eeg", "images"), ("images", "eeg")])
def test_eeg_and_images_know_nothing_of_each_other(here, there):
    for path in (SOURCE / here).rglob("*.py"):
        assert there not in set(imported_rooms(path))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_below_the_command_line_prints_and_nothing_unpickles(path):
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not {"eval", "exec"} & calls
    assert "print" not in calls
    assert "import pickle" not in path.read_text(encoding="utf-8")


def test_the_public_names_are_those_of_all():
    for name in brainloop.__all__:
        assert getattr(brainloop, name) is not None
        assert not inspect.ismodule(getattr(brainloop, name)), "a module of that name hides it once it is imported"
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        brainloop.nonsense  # noqa: B018


def test_every_error_is_a_brainloop_error_with_its_remedy_as_docstring():
    for name in errors.__all__:
        error = getattr(errors, name)
        assert issubclass(error, errors.BrainloopError)
        assert len(inspect.getdoc(error) or "") > 40


def test_importing_brainloop_and_asking_for_help_loads_nothing_heavy():
    heavy = ["mne", "sklearn", "onnxruntime", "pyriemann", "matplotlib", "skimage", "sqlalchemy", "scipy", "numpy.fft"]
    script = "import sys, brainloop.cli; print([m for m in sys.argv[1:] if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script, *heavy[:-2]], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
