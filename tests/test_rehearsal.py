from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from brainloop.classifier.system import SYSTEMS
from brainloop.loop import run
from brainloop.observers.oracle import Oracle
from brainloop.presentation.block import Response
from brainloop.rehearsal import Task, rehearse
from brainloop.settings import Settings
from brainloop.study import Study


class Noisy:
    """Answers with Gaussian evidence, and drops every seventh epoch."""

    soa = 0.2

    def __init__(self, truth, seed=0):
        self.truth, self.rng, self.count = truth, np.random.default_rng(seed), 0
        self.facts = {"observer": "noisy", "recordings": []}

    def respond(self, block, start=0):
        for k, image in enumerate(block.images):
            self.count += 1
            evidence = float(2 * self.rng.normal() + (2 if self.truth[image] else -2))
            rejected = "blink" if self.count % 7 == 0 else None
            if k >= start:
                yield Response(evidence, 0.0 if rejected else evidence, rejected, k * 0.2, "noise", "nobody", "now")

    def recall(self, blocks):
        for block in blocks:
            list(self.respond(block))

    def erps(self):
        return {}


def a_task(seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.random(400) < 0.2
    embeddings = rng.normal(size=(400, 12)).astype(np.float32)
    embeddings[truth, :2] += 2
    return Task(embeddings[:300], {"target": truth[:300]}, embeddings[300:], {"target": truth[300:]})


SETTINGS = Settings("nowhere", "target", observer="own", confidence_threshold=1.0, compose=False, looks_per_round=30)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_rehearsal_stops_at_every_checkpoint_and_says_how_good_the_classifier_is(name):
    task = a_task()
    stands = list(rehearse(SYSTEMS[name], task, Noisy(task.truth["target"]), SETTINGS, [30, 75, 120]))
    assert [stand.looks for stand in stands] == [30, 75, 120]
    for stand in stands:
        assert stand.auc == roc_auc_score(task.test_truth["target"], stand.test_log_odds)
        assert set(np.flatnonzero(stand.belief.evidence)) == set(stand.seen)
    assert stands[-1].auc > 0.8
    n_blocks = 1 + 2 + 2  # rounds of 30, of 30 and 15, of 30 and 15, each one block
    assert stands[-1].viewing_s == pytest.approx(120 * 0.2 + SETTINGS.pause * (n_blocks - 1))


def test_a_rehearsal_is_the_study_that_it_stands_for(tmp_path, photographs):
    settings = Settings(
        str(photographs), "rose", observer="own", looks_per_round=20, max_looks=80, compose=True,
        confidence_threshold=1.0,
    )  # fmt: skip
    study = Study.create(tmp_path / "study", settings)
    data = study.data()
    rounds = list(run(study, Noisy(data.truth["rose"])))
    task = Task(data.pool, data.truth, data.test, data.test_truth, seed=settings.seed)
    stands = list(rehearse(SYSTEMS["brainloop"], task, Noisy(data.truth["rose"]), study.settings, [20, 40, 60, 80]))
    assert [stand.auc for stand in stands] == [one.auc for one in rounds]
    assert [stand.viewing_s for stand in stands] == pytest.approx([one.viewing_s for one in rounds])
    np.testing.assert_array_equal(stands[-1].belief.head.weight, study.head().weight)


def test_who_is_told_the_truth_hears_nobody_else():
    task = a_task()
    (stand,) = rehearse(SYSTEMS["truth"], task, Noisy(~task.truth["target"]), SETTINGS, [30])
    np.testing.assert_array_equal(stand.belief.evidence[stand.seen] > 0, task.truth["target"][stand.seen])
    assert stand.seen.size == 30
    (same,) = rehearse(SYSTEMS["brainloop"], task, Oracle(task.truth, soa=0.2), SETTINGS, [30])
    assert stand.auc == same.auc


def test_one_seed_gives_one_rehearsal_and_another_another():
    task = a_task()

    def course(seed):
        settings = replace(SETTINGS, seed=seed)
        return [
            s.test_log_odds
            for s in rehearse(SYSTEMS["brainloop"], task, Noisy(task.truth["target"]), settings, [30, 60])
        ]

    np.testing.assert_array_equal(course(0), course(0))
    assert not np.array_equal(course(0), course(1))
