import csv

import pytest
import typer
from typer.testing import CliRunner

from brainloop.cli_export import add_commands
from brainloop.errors import SettingsError
from brainloop.exports import WHAT
from brainloop.study import Study


@pytest.fixture
def study(tmp_path, photographs):
    return Study.create(tmp_path / "study", images=str(photographs), target="rose")


@pytest.fixture
def export():
    app = typer.Typer()
    app.callback()(lambda: None)
    add_commands(app)

    def call(*words):
        done = CliRunner().invoke(app, ["export", *map(str, words)])
        if done.exception is not None:
            raise done.exception
        return done.stdout

    return call


def test_without_a_choice_all_choices_are_listed_and_nothing_is_written(study, export):
    before = sorted(study.folder.rglob("*"))
    said = export(study.folder)
    for name, line in WHAT.items():
        assert any(f"--what {name} " in row and line in row for row in said.splitlines())
    assert sorted(study.folder.rglob("*")) == before


def test_what_was_written_is_named_and_nothing_replaced_without_force(study, export, tmp_path):
    out = tmp_path / "for others"
    words = (study.folder, "--what", "labels", "--what", "labelstudio", "--out", out)
    assert export(*words).splitlines() == [str(out / "labels.csv"), str(out / "labelstudio")]
    with (out / "labels.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 160
    with pytest.raises(SettingsError, match="replace with --force"):
        export(*words)
    export(*words, "--force")


def test_exports_go_into_the_study_if_no_other_place_is_named(study, export):
    assert export(study.folder, "--what", "labels").strip() == str(study.folder / "exports" / "labels.csv")
