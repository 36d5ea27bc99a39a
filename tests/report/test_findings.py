import shutil
from collections import Counter

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from brainloop.errors import StudyError
from brainloop.evidence import add_up
from brainloop.presentation.block import Block, Response
from brainloop.report.findings import find
from brainloop.study import Study


def test_a_study_without_a_round_says_what_to_run(make_study):
    study = make_study(observer="simulated")
    with pytest.raises(StudyError, match=r"found none; run it first: brainloop run "):
        find(study)


def test_the_belief_is_that_of_the_loop(every_study):
    found, data, looks = find(every_study), every_study.data(), every_study.store.looks()
    evidence = add_up(data.index(looks.image), looks.evidence, data.ids.size)
    log_odds = every_study.head().log_odds(every_study.features(data)[0])
    np.testing.assert_array_equal(found.belief.evidence, evidence)
    asked = log_odds if every_study.settings.system == "talk" else log_odds + evidence
    np.testing.assert_array_equal(found.asked, asked)


def test_looks_and_parts_add_up(every_study):
    found = find(every_study)
    assert found.looks.image.size == found.last.looks == found.times_seen.sum()
    assert (found.times_seen > 0).sum() == found.last.images
    assert found.parts["pool"] == len(found.pool)
    assert len(found.test) == len(found.test_log_odds) == found.parts.get("test", 0)
    assert sum(count for _, count in found.rejections()) == found.last.rejected
    assert found.minutes == pytest.approx((found.last.viewing_s + found.last.machine_s) / 60)


def test_the_auc_of_a_single_look_is_that_of_scikit_learn(simulated):
    found = find(simulated)
    reference = roc_auc_score(found.shown_target[found.usable], found.looks.evidence[found.usable])
    assert found.single_look_auc() == pytest.approx(reference)
    assert found.single_look_auc(found.recordings[0]["name"]) == pytest.approx(reference)
    assert found.single_look_auc("nobody") is None


def test_the_auc_on_the_test_part_is_that_of_the_last_round(simulated):
    found = find(simulated)
    assert roc_auc_score(found.test_truth, found.test_log_odds) == pytest.approx(found.last.auc)


def test_prevalence_is_the_share_of_targets_among_the_looks_of_a_round(simulated):
    found = find(simulated)
    label = {image.id: image.label for image in simulated.store.images()}
    shown = [label[i] == "<b>rose" for i, r in zip(found.looks.image, found.looks.round, strict=True) if r == 2]
    assert found.prevalence(2) == pytest.approx(np.mean(shown))
    assert found.prevalence(99) is None


def test_recycled_epochs_are_counted_by_class(replayed):
    found = find(replayed)
    reuse = found.reuse(found.shown_target)
    sources = Counter(np.array(found.looks.source)[found.shown_target])
    assert reuse.repeats > 0
    assert (reuse.looks, reuse.epochs, reuse.most) == (sources.total(), len(sources), max(sources.values()))
    assert found.reuse().looks == found.last.looks


def test_a_study_in_which_nobody_knows_the_truth_claims_none(without_truth):
    found = find(without_truth)
    assert (
        found.truth is found.test_truth is found.shown_target is found.prevalence() is found.single_look_auc() is None
    )


def test_looks_of_a_round_that_is_not_over_are_left_out(make_study, without_truth, tmp_path):
    folder = shutil.copytree(without_truth.folder, tmp_path / "copy")
    study = Study.open(folder)
    image = int(study.data().ids[0])
    study.store.plan([Block(len(study.store.rounds()) + 1, 1, (image, image), 0.2, "tulip")])
    study.store.answer(study.store.blocks()[-1][0].number, 0, Response(9.0, 9.0, None, 0.0, "me#x", "me", "today"))
    before, after = find(without_truth), find(study)
    assert after.unfinished == 1
    np.testing.assert_array_equal(before.belief.evidence, after.belief.evidence)
