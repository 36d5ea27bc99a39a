"""The audit's bench, small: real recordings, made-up embeddings."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from brainloop.bench import audit
from brainloop.bench.audit import SCORES, AuditData, _Task, bench_audit, flipped, prepare_audit
from brainloop.bench.audit_figures import draw
from brainloop.cli_bench import bench
from brainloop.eeg.recordings import read_recordings
from brainloop.errors import MissingExtraError, SettingsError
from brainloop.observers.answers import decode
from brainloop.settings import Settings

ROWS = ("shortlist", "model", "brain", "cleanlab", "shuffled")


@pytest.fixture(scope="module")
def data(recordings):
    """Three classes of 80 images, width 8, and one person."""
    rng = np.random.default_rng(0)
    truth = np.arange(240) % 3
    vectors = (rng.normal(size=(240, 8)) + 2.2 * np.eye(8)[truth]).astype(np.float32)
    settings = Settings(
        images="photos", classes=("a", "b", "c"), use="audit", observer="replay", recordings=(str(recordings),)
    )
    return AuditData(vectors, truth, settings, {"a/sub-01": decode(read_recordings([recordings]), decoder="lda")})


@pytest.fixture(scope="module")
def figures(data):
    return bench_audit(data, [1, 2])


def test_the_json_holds_what_the_issue_names(figures):
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    for row in ROWS:
        assert {*SCORES, "looks"} <= set(figures[row])
    assert figures["model"]["looks"] == figures["cleanlab"]["looks"] == 0
    assert figures["brain"]["looks"] == figures["shortlist"]["looks"] > 0
    assert 0 <= figures["errors_left_share"] <= 1
    assert 0 <= figures["right_changed_share"] <= 1
    assert figures["settings"]["seeds"] == [1, 2]
    assert [row["recording"] for row in figures["by_recording"]] == ["a/sub-01"]
    assert figures["by_recording"][0]["shortlist"] == figures["shortlist"]


def test_looks_find_what_neither_classifier_nor_shuffled_looks_do(figures):
    precision = {row: figures[row]["precision_at_errors"] for row in ROWS}
    assert precision["shortlist"] > max(precision["model"], precision["shuffled"], precision["cleanlab"])
    assert figures["errors_left_share"] < 0.6
    assert figures["found_by_look"] == sorted(figures["found_by_look"])


def test_one_seed_gives_one_result(data, figures):
    again = bench_audit(data, [1, 2])
    assert {row: again[row] for row in ROWS} == {row: figures[row] for row in ROWS}


def test_a_tenth_of_each_class_is_made_wrong_and_nothing_keeps_its_name():
    truth = np.repeat(np.arange(4), 50)
    given = flipped(truth, 4, seed=3)
    assert [(given[truth == k] != k).sum() for k in range(4)] == [5] * 4
    assert given.max() < 4
    assert (flipped(truth, 4, seed=4) != given).any()


def test_the_auroc_is_that_of_scikit_learn_averaged_over_classes(data):
    task = _Task.of(data, 1)
    z, wrong, given = task.doubted.log_odds, task.wrong, task.doubted.given
    mean = np.mean([roc_auc_score(wrong[given == k], z[given == k]) for k in range(3)])
    assert task._scores("model", z, 0.0)["model/auroc"] == pytest.approx(mean)


def test_without_cleanlab_the_message_names_the_extra(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab.rank", None)
    with pytest.raises(MissingExtraError, match="cleanlab"):
        bench_audit(data, [1])


def test_no_seed_and_one_class_are_refused(data, photographs, tmp_path):
    with pytest.raises(SettingsError, match="one seed or more"):
        bench_audit(data, [])
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "rose").symlink_to(photographs / "rose")
    with pytest.raises(SettingsError, match="two class folders or more"):
        prepare_audit(tmp_path / "images", [], "builtin", tmp_path / "cache")


def test_the_figure_is_drawn(figures, tmp_path):
    assert draw(figures, tmp_path / "a" / "audit.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_is_as_the_issue_spells_it(photographs, recordings, tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "decode", lambda own, **_: decode(own, decoder="lda"))  # the ensemble takes seconds
    words = ["--images", photographs, "--recordings", recordings, "--backbone", "builtin", "--seeds", 1]
    done = CliRunner().invoke(bench, ["audit", *map(str, words), "--json", str(tmp_path / "audit.json")])
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))
    assert set(ROWS) <= set(figures)
    assert figures["settings"]["seeds"] == [1000]
    assert figures["settings"]["classes"] == ["rose", "sky"]


def test_people_who_see_less_find_less(data):
    worse = {"b/sub-01": data.people["a/sub-01"].degraded(4.0, seed=0)}
    both = bench_audit(replace(data, people=data.people | worse), [1])["by_recording"]
    assert both[0]["shortlist"]["precision_at_errors"] >= both[1]["shortlist"]["precision_at_errors"]
