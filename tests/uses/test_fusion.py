"""Image and EEG together: what is learned, from whom, and that nobody is told the answer."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
import typer
from scipy.special import expit, logit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from brainloop.classifier.head import Head
from brainloop.cli_fuse import add_commands
from brainloop.eeg.epochs import epoch_recording
from brainloop.eeg.recordings import read_recordings
from brainloop.eeg.signal import Signal
from brainloop.errors import SettingsError, StudyError
from brainloop.exports.fusion_table import COLUMNS, write_fusion
from brainloop.loop import run
from brainloop.observers.answers import decode
from brainloop.report.fusion_figure import save_fusion
from brainloop.study import Study
from brainloop.uses.fusion import METHODS, fuse
from brainloop.uses.joint import Pairs, train_joint
from brainloop.uses.out_of_fold import folds, log_odds_against_rest, out_of_fold
from brainloop.uses.responses import N_NUMBERS, N_WINDOWS, responses
from brainloop.uses.stacking import train_stacked


@pytest.fixture(scope="module")
def study(photographs, recordings, tmp_path_factory):
    made = Study.create(
        tmp_path_factory.mktemp("fusion") / "study", images=str(photographs), target="rose",
        recordings=(str(recordings),), decoder="lda", max_looks=150,
    )  # fmt: skip
    list(run(made))
    return made


@pytest.fixture(scope="module")
def late(study):
    (found,) = fuse(study)
    return found


def simulated(n, seed=0, *, weights=(1.0, 1.0)):
    """Log-odds and evidence that are right once they are multiplied by the weights, and the truth."""
    rng = np.random.default_rng(seed)
    z, evidence = rng.normal(-1, 2, n), rng.normal(0, 1.5, n)
    return z, evidence, rng.random(n) < expit(weights[0] * z + weights[1] * evidence)


def head(features, truth):
    fitted = LogisticRegression().fit(features, truth)
    return Head(fitted.coef_[0], float(fitted.intercept_[0]), None, 1.0, np.nan)


# Out of fold


def test_folds_hold_each_class_as_evenly_as_it_goes():
    kind = np.random.default_rng(0).random(103) < 0.2
    fold = folds(kind, seed=3)
    for one in (kind, ~kind):
        assert np.ptp(np.bincount(fold[one], minlength=5)) <= 1


def test_no_head_speaks_of_an_image_that_it_was_trained_on():
    rng = np.random.default_rng(0)
    features, truth = rng.normal(size=(60, 4)), rng.random(60) < 0.4
    fold = folds(truth, seed=0)
    said = out_of_fold(lambda rows: head(features[rows], truth[rows]), features, fold)
    for k in range(5):
        fitted = LogisticRegression().fit(features[fold != k], truth[fold != k])
        np.testing.assert_allclose(said[fold == k], fitted.decision_function(features[fold == k]))


def test_log_odds_of_several_classes_are_those_of_each_against_the_rest():
    rng = np.random.default_rng(1)
    several = Head(rng.normal(size=(3, 4)), rng.normal(size=4), None, 1.0, np.nan)
    features = rng.normal(size=(10, 3))
    expected = logit(softmax(several.log_odds(features), axis=1))
    np.testing.assert_allclose(log_odds_against_rest(several, features), expected)


# Stacking


def test_many_images_give_the_weights_that_a_plain_logistic_regression_finds():
    z, evidence, truth = simulated(20_000, weights=(2.0, 0.5))
    learned = train_stacked(z, evidence, truth)
    fitted = LogisticRegression(C=1e6).fit(np.column_stack([z, evidence]), truth)
    np.testing.assert_allclose(learned.weights, fitted.coef_[0], atol=0.02)
    np.testing.assert_allclose(learned.bias, fitted.intercept_[0], atol=0.02)


def test_few_images_leave_late_fusion_nearly_as_it_is():
    z, evidence, truth = simulated(20, weights=(3.0, 0.0))
    np.testing.assert_allclose(train_stacked(z, evidence, truth).weights, (1, 1), atol=0.35)


def test_evidence_that_says_nothing_adds_nothing():
    z, _, truth = simulated(300)
    nothing = np.random.default_rng(5).normal(0, 0.01, 300)
    both = train_stacked(z, nothing, truth).log_odds(z, nothing)
    assert abs(roc_auc_score(truth, both) - roc_auc_score(truth, z)) < 1e-3


def test_weights_need_two_images_of_each_class():
    with pytest.raises(SettingsError, match="1 targets and 9 others"):
        train_stacked(np.zeros(10), np.zeros(10), np.arange(10) == 0)


# The joint network


def pairs_of(z, evidence, numbers, n_features=16):
    features = np.random.default_rng(9).normal(size=(z.size, n_features)) / np.sqrt(n_features)
    return Pairs(z, evidence, features, numbers)


def test_the_joint_network_finds_in_the_responses_what_the_evidence_lacks():
    rng = np.random.default_rng(0)
    truth = rng.random(800) < 0.2
    z, evidence = rng.normal(2.0 * truth - 1.7), rng.normal(1.5 * truth)
    numbers = rng.normal(size=(800, N_NUMBERS))
    numbers[:, 3] += 2.5 * truth  # of which the decoder knew nothing
    pairs = pairs_of(z, evidence, numbers)
    learned, later = np.arange(800) < 400, np.arange(800) >= 400
    joint = train_joint(pairs[learned], truth[learned], folds(truth[learned], seed=0))
    stacked = roc_auc_score(truth[later], joint.stacked.log_odds(z[later], evidence[later]))
    assert joint.n_steps > 0
    assert roc_auc_score(truth[later], joint.log_odds(pairs[later])) > stacked + 0.01


def test_where_there_is_nothing_to_find_the_joint_network_is_stacking_exactly():
    z, evidence, truth = simulated(200)
    pairs = pairs_of(z, evidence, np.random.default_rng(2).normal(size=(200, N_NUMBERS)))
    joint = train_joint(pairs, truth, folds(truth, seed=0))
    assert joint.n_steps == 0
    np.testing.assert_array_equal(joint.log_odds(pairs), joint.stacked.log_odds(z, evidence))


def test_one_seed_gives_one_network():
    z, evidence, truth = simulated(150, seed=4)
    numbers = np.random.default_rng(2).normal(size=(150, N_NUMBERS)) + truth[:, None]
    pairs, fold = pairs_of(z, evidence, numbers), folds(truth, seed=0)
    first, again = (train_joint(pairs, truth, fold, seed=7).log_odds(pairs) for _ in range(2))
    np.testing.assert_array_equal(first, again)


# Responses


def test_every_usable_epoch_that_may_answer_is_described_and_none_that_trained(recordings):
    read = read_recordings([recordings])
    answers = decode(read, decoder="lda")
    usable = {one.response.source for one in answers.epochs if one.response.rejected is None}
    described = responses(read[0])
    assert set(described) == usable
    assert all(one.shape == (N_NUMBERS,) for one in described.values())


def test_a_response_is_the_mean_of_each_tenth_of_a_second_through_the_best_filters(recordings):
    (read,) = read_recordings([recordings])
    one = read.pick(read.channels[:1])
    described = responses(one)
    names = list(described)
    rows = [int(name.partition("#")[2]) for name in names]
    epochs = epoch_recording(one, Signal()).data[rows, 0]
    means = np.array([[part.mean() for part in np.array_split(epoch, N_WINDOWS)] for epoch in epochs])
    seen = np.array(list(described.values()))
    np.testing.assert_array_equal(seen[:, N_WINDOWS:], 0)  # one channel has one component
    for window in range(N_WINDOWS):
        assert abs(np.corrcoef(seen[:, window], means[:, window])[0, 1]) > 1 - 1e-9


# A study


def test_late_fusion_adds_what_the_store_holds_to_what_the_classifier_says_out_of_fold(study, late):
    looks = study.store.looks()
    path = {image.id: image.path for image in study.store.images()}
    total, count = {}, {}
    for image, evidence, rejected in zip(looks.image.tolist(), looks.evidence, looks.rejected, strict=True):
        if rejected is None:
            total[path[image]] = total.get(path[image], 0.0) + evidence
            count[path[image]] = count.get(path[image], 0) + 1
    assert set(late.paths) == set(total)
    np.testing.assert_allclose(late.evidence, [total[one] for one in late.paths])
    assert late.looks.tolist() == [count[one] for one in late.paths]
    np.testing.assert_allclose(late.combined, late.log_odds + late.evidence)
    assert late.truth.tolist() == [one.startswith("rose") for one in late.paths]
    assert late.auc["combined"].value == pytest.approx(roc_auc_score(late.truth, late.log_odds + late.evidence))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_says_something_of_every_image_and_no_worse_than_either(study, method):
    (found,) = fuse(study, method)
    assert np.isfinite(found.combined).all()
    assert found.auc["combined"].value >= max(found.auc[name].value for name in ("classifier", "brain")) - 0.01


@pytest.mark.parametrize("method", ["stacked", "joint"])
def test_what_is_said_of_an_image_does_not_depend_on_its_own_class(study, method, monkeypatch):
    (before,) = fuse(study, method)
    data = study.data()
    path = {image.id: image.path for image in study.store.images()}
    row = next(k for k, one in enumerate(data.ids.tolist()) if path[one] == before.paths[0])
    lie = data.truth["rose"].copy()
    lie[row] = ~lie[row]
    monkeypatch.setattr(study, "_data", replace(data, truth={"rose": lie}))
    (after,) = fuse(study, method)
    assert after.combined[0] == before.combined[0]
    assert (after.combined != before.combined).any()


def test_a_correction_has_the_last_word_on_the_truth_and_none_on_the_evidence(study, late):
    image = next(image for image in study.store.images() if image.path == late.paths[0])
    study.store.correct(image.id, "rose", not late.truth[0])
    try:
        (corrected,) = fuse(study)
    finally:
        study.store.correct(image.id, "rose", None)
    assert corrected.truth[0] != late.truth[0]
    assert corrected.evidence[0] == late.evidence[0]


def test_classes_are_fused_one_by_one(photographs, recordings, tmp_path):
    study = Study.create(
        tmp_path / "study", images=str(photographs), classes=("rose", "sky"), recordings=(str(recordings),),
        decoder="lda", max_looks=100,
    )  # fmt: skip
    list(run(study))
    for method in METHODS:
        found = fuse(study, method)
        assert [one.target for one in found] == ["rose", "sky"]
        for one in found:
            assert one.truth.tolist() == [path.startswith(one.target) for path in one.paths]
            assert np.isfinite(one.combined).all()


def test_before_any_look_there_is_nothing_to_fuse_and_epochs_must_be_at_hand(photographs, tmp_path):
    study = Study.create(tmp_path / "study", images=str(photographs), target="rose", decoder="lda", max_looks=50)
    with pytest.raises(StudyError, match="found too few"):
        fuse(study)
    list(run(study))
    assert fuse(study)
    with pytest.raises(StudyError, match="observer is simulated"):
        fuse(study, "joint")
    with pytest.raises(SettingsError, match="'early' came"):
        fuse(study, "early")


def test_a_look_whose_epoch_is_not_there_any_more_is_named(study, monkeypatch):
    looks = study.store.looks()
    gone = replace(looks, source=["elsewhere#7", *looks.source[1:]], rejected=[None, *looks.rejected[1:]])
    monkeypatch.setattr(study.store, "looks", lambda: gone)
    with pytest.raises(StudyError, match="such as elsewhere#7"):
        fuse(study, "joint")


# Table, picture, command


def invoke(*words):
    app = typer.Typer()
    app.callback()(lambda: None)
    add_commands(app)
    return CliRunner().invoke(app, ["fuse", *map(str, words)])


def test_the_command_writes_a_row_an_image_and_a_picture_and_replaces_nothing_unasked(study, late, tmp_path):
    table, picture = tmp_path / "fused.csv", tmp_path / "fused.png"
    done = invoke(study.folder, "--out", table, "--plot", picture)
    assert done.exit_code == 0, done.output
    assert f"{late.auc['combined'].value:.3f}" in done.output
    assert "out of fold by image" in done.output
    written = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))
    assert list(written[0]) == list(COLUMNS)
    combined = {row["path"]: float(row["combined"]) for row in written}
    np.testing.assert_allclose([combined[path] for path in late.paths], expit(late.combined))
    assert picture.read_bytes().startswith(b"\x89PNG")
    again = invoke(study.folder, "--out", table)
    assert "is there already" in str(again.exception)
    assert invoke(study.folder, "--out", table, "--force").exit_code == 0
    assert "ends in .csv or .parquet" in str(invoke(study.folder, "--out", tmp_path / "x.txt").exception)


def test_parquet_holds_the_same_and_an_unknown_class_is_null(late, tmp_path):
    import pyarrow.parquet

    unknown = replace(late, known=np.arange(late.known.size) > 0)
    write_fusion([unknown], tmp_path / "fused.parquet")
    read = pyarrow.parquet.read_table(tmp_path / "fused.parquet").to_pylist()
    assert [row["is_target"] for row in read].count(None) == 1
    assert {row["path"]: row["evidence"] for row in read} == dict(zip(late.paths, late.evidence, strict=True))


def test_without_truth_there_is_no_auc_and_no_picture(late, tmp_path):
    unknown = replace(late, known=np.zeros(late.known.size, dtype=bool))
    assert unknown.auc is None
    with pytest.raises(StudyError, match="correct some images"):
        save_fusion(unknown, tmp_path / "fused.png")
    assert not list(tmp_path.iterdir())
