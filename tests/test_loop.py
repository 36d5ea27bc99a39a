import sqlite3
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from brainloop.classifier.system import SYSTEMS
from brainloop.errors import StudyError
from brainloop.evidence import add_up
from brainloop.loop import run
from brainloop.presentation.block import Response
from brainloop.study import Study
from brainloop.uses.heard import CORRECTION, total_evidence
from brainloop.uses.training import learn, plan


class Oracle:
    """An observer that knows the truth and says so with Gaussian noise: evidence as the theory has it."""

    soa = 0.25
    d = 2.0

    def __init__(self, truth):
        self.truth = truth
        self.facts = {"observer": "oracle", "recordings": []}
        self.blocks = []
        self.recalled = []

    def respond(self, block, start=0):
        self.blocks.append((block, start))
        noise = np.random.default_rng([7, block.number]).normal(size=len(block.images))
        score = noise + self.d * self.truth[list(block.images)]
        for k in range(start, len(block.images)):
            evidence = float(self.d * score[k] - self.d**2 / 2)
            yield Response(float(score[k]), evidence, None, float(block.onsets[k]), f"oracle#{k}", "me", "today")

    def recall(self, blocks):
        self.recalled += blocks

    def erps(self):
        return {}


@pytest.fixture
def study(tmp_path, photographs):
    return Study.create(
        tmp_path / "study", images=photographs, target="rose", observer="own", looks_per_round=30, block_size=12,
        max_looks=100, pause=2.0,
    )  # fmt: skip


@pytest.fixture
def oracle(study):
    return Oracle(study.data().truth["rose"])


def stable(rounds):
    """Rounds without what the clock measured."""
    return [replace(one, machine_s=0.0) for one in rounds]


def test_the_classifier_learns_from_round_to_round(study, oracle):
    rounds = list(run(study, oracle))
    assert [one.number for one in rounds] == list(range(1, len(rounds) + 1))
    assert rounds[-1].auc > 0.9
    assert rounds[-1].auc_low <= rounds[-1].auc <= rounds[-1].auc_high


def test_looks_images_and_viewing_seconds_add_up(study, oracle):
    rounds = list(run(study, oracle))
    blocks = [block for block, _ in oracle.blocks]
    assert rounds[-1].looks == sum(len(block.images) for block in blocks) <= 100
    assert rounds[-1].images == len({image for block in blocks for image in block.images})
    assert rounds[-1].viewing_s == pytest.approx(rounds[-1].looks * 0.25 + 2.0 * (len(blocks) - 1))


def test_test_images_are_never_shown_and_truth_never_trains(study, oracle):
    list(run(study, oracle))
    parts = {image.id: image.part for image in study.store.images()}
    assert {parts[image] for image in study.store.looks().image} == {"pool"}
    lying = Oracle(~oracle.truth)  # the evidence alone decides what is learned, whatever the folders say
    other = Study.create(study.folder.parent / "other", replace(study.settings))
    assert list(run(other, lying))[-1].auc < 0.1


def test_the_head_is_trained_on_the_summed_evidence_of_all_looks(study, oracle):
    list(run(study, oracle))
    data, looks = study.data(), study.store.looks()
    evidence = add_up(data.index(looks.image), looks.evidence, len(data.ids))
    seen = np.unique(data.index(looks.image))
    expected = SYSTEMS["brainloop"].learn(study.features(data)[0][seen], evidence[seen])
    np.testing.assert_array_equal(study.head().weight, expected.weight)


def test_the_feature_map_is_fitted_on_the_pool_alone(study, oracle):
    list(run(study, oracle))
    data = study.data()
    alone = SYSTEMS["brainloop"].fit_features(data.pool, seed=study.settings.seed)
    np.testing.assert_array_equal(study.features(data)[1], alone(data.test))


@pytest.mark.parametrize("system", ["talk", "brainloop"])
def test_later_rounds_ask_about_the_least_confident(tmp_path, photographs, system):
    study = Study.create(
        tmp_path / "study", images=photographs, target="rose", observer="own", system=system, compose=False,
        looks_per_round=20, max_looks=40,
    )  # fmt: skip
    data = study.data()
    list(run(study, Oracle(data.truth["rose"])))
    looks = study.store.looks()
    first = looks.round == 1
    log_odds = study.head(1).log_odds(study.features(data)[0])
    settled = log_odds.max() > logit(0.9)
    if system == "brainloop":
        log_odds = log_odds + add_up(data.index(looks.image[first]), looks.evidence[first], len(data.ids))
    certainty = np.maximum(expit(log_odds), expit(-log_odds))
    asked = data.index(looks.image[~first])
    n_unsure = min(20, int((certainty < 0.9).sum())) if settled else 20
    assert set(asked) == set(np.argsort(certainty)[:n_unsure])


def test_an_interrupted_study_goes_on_to_the_same_end(tmp_path, photographs, study, oracle):
    undisturbed = list(run(study, oracle))
    other = Study.create(tmp_path / "other", study.settings)
    rounds, interruptions = [], 0

    class Interruption(BaseException):
        pass

    class Nervous(Oracle):
        def respond(self, block, start=0):
            for k, response in enumerate(super().respond(block, start)):
                if k == 5 and start == 0:
                    raise Interruption
                yield response

    while True:
        try:
            rounds += list(run(other, Nervous(oracle.truth)))
            break
        except Interruption:
            interruptions += 1
            other = Study.open(other.folder)
    assert interruptions > 5
    assert stable(other.store.rounds()) == stable(undisturbed)
    np.testing.assert_array_equal(other.head().weight, study.head().weight)


def test_an_observer_is_told_of_the_blocks_that_were_answered_before(study, oracle):
    rounds = run(study, oracle)
    next(rounds)
    rounds.close()
    later = Oracle(oracle.truth)
    next(run(Study.open(study.folder), later))
    assert later.recalled == [block for block, _ in oracle.blocks if block.round == 1]


def test_a_study_that_is_over_has_no_more_rounds_until_it_may_look_more(study, oracle):
    list(run(study, oracle))
    assert list(run(study, oracle)) == []
    toml = study.folder / "study.toml"
    toml.write_text(toml.read_text().replace("max_looks = 100", "max_looks = 130"))
    again = Study.open(study.folder)
    if not again.store.rounds()[-1].converged:
        assert list(run(again, oracle))[-1].looks > 100


def test_the_study_is_held_while_it_runs_and_let_go_afterwards(study, oracle):
    rounds = run(study, oracle)
    next(rounds)
    with pytest.raises(Exception, match="another process"):
        next(run(Study.open(study.folder), oracle))
    rounds.close()
    assert next(run(Study.open(study.folder), oracle)).number == 2


def test_without_truth_a_study_runs_and_says_nothing_of_auc(tmp_path, photographs, oracle):
    study = Study.create(
        tmp_path / "clouds",
        images=photographs / "sky",
        target="clouds",
        observer="own",
        looks_per_round=20,
        max_looks=40,
    )
    rounds = list(run(study, Oracle(np.arange(128) % 5 == 0)))
    assert rounds
    assert all(one.auc is one.auc_low is one.auc_high is None for one in rounds)


@pytest.mark.parametrize("compose", [True, False])
def test_with_composition_few_targets_are_expected_in_a_round(tmp_path, photographs, oracle, compose):
    study = Study.create(
        tmp_path / "composed", images=photographs, target="rose", observer="own", system="talk", looks_per_round=30,
        max_looks=60, compose=compose,
    )  # fmt: skip
    list(run(study, oracle))
    data, looks = study.data(), study.store.looks()
    first = looks.round == 1
    evidence = add_up(data.index(looks.image[first]), looks.evidence[first], len(data.ids))
    expected = expit(study.head(1).log_odds(study.features(data)[0]) + evidence)[data.index(looks.image[~first])].mean()
    assert bool(expected <= 0.2) is compose


@pytest.mark.parametrize("system", ["talk", "brainloop"])
def test_a_rejected_epoch_teaches_nothing(tmp_path, photographs, oracle, system):
    class Twitching(Oracle):
        def respond(self, block, start=0):
            for k, response in enumerate(super().respond(block, start)):
                silent = replace(response, score=float("nan"), evidence=0.0, rejected="amplitude")
                yield silent if k % 3 == 0 else response

    study = Study.create(
        tmp_path / system,
        images=photographs,
        target="rose",
        observer="own",
        system=system,
        looks_per_round=40,
        max_looks=40,
    )
    (done,) = run(study, Twitching(oracle.truth))
    data, looks = study.data(), study.store.looks()
    heard = np.array([reason is None for reason in looks.rejected])
    assert done.rejected == (~heard).sum() > 10
    index = data.index(looks.image[heard])
    features, _ = study.features(data)
    expected = SYSTEMS[system].learn(features[np.sort(index)], looks.evidence[heard][np.argsort(index)])
    np.testing.assert_allclose(study.head().weight, expected.weight, atol=1e-9)


def test_a_study_whose_every_epoch_is_rejected_goes_on_and_learns_nothing(study, oracle):
    class Absent(Oracle):
        def respond(self, block, start=0):
            for response in super().respond(block, start):
                yield replace(response, score=float("nan"), evidence=0.0, rejected="flat")

    rounds = list(run(study, Absent(oracle.truth)))
    assert rounds[-1].looks == rounds[-1].rejected == 100
    assert not rounds[-1].converged


def test_an_observer_that_ends_a_block_early_is_told_and_nothing_is_lost(study, oracle):
    class Impatient(Oracle):
        def respond(self, block, start=0):
            yield from list(super().respond(block, start))[:7]

    with pytest.raises(StudyError, match=r"expected 10 responses to block 1.*gave 7"):
        list(run(study, Impatient(oracle.truth)))
    assert study.store.looks().image.size == 7
    assert next(run(Study.open(study.folder), oracle)).looks == 30


def test_progress_counts_presentations_of_the_round(study, oracle):
    calls = []
    next(run(study, oracle, progress=lambda done, total: calls.append((done, total))))
    assert calls == [(k, 30) for k in range(31)]


def test_a_correction_is_learned_in_place_of_what_looks_said_and_its_image_is_never_shown_again(study, oracle):
    rounds = run(study, oracle)
    next(rounds)
    data = study.data()
    shown, never = (study.store.looks().image[3], np.setdiff1d(data.ids, study.store.looks().image)[4])
    study.store.correct(int(shown), "rose", True)
    study.store.correct(int(never), "rose", False)
    number = len(oracle.blocks)
    list(rounds)
    later = [image for block, _ in oracle.blocks[number:] for image in block.images]
    told = data.index(np.array([shown, never]))
    assert not np.isin(told, later).any()
    evidence, seen = total_evidence(study, data)
    np.testing.assert_array_equal(evidence[told], [CORRECTION, -CORRECTION])
    assert np.isin(told, seen).all()
    looks = study.store.looks()
    expected = add_up(data.index(looks.image), looks.evidence, len(data.ids))
    expected[told] = CORRECTION, -CORRECTION
    np.testing.assert_array_equal(evidence, expected)
    head = SYSTEMS["brainloop"].learn(study.features(data)[0][seen], expected[seen])
    np.testing.assert_array_equal(study.head().weight, head.weight)


@pytest.mark.parametrize("system", ["talk", "brainloop"])
@pytest.mark.parametrize("number", [1, 2])
def test_no_way_of_asking_shows_what_was_corrected(study, system, number):
    system, data = SYSTEMS[system], study.data()
    features = system.fit_features(data.pool)(data.pool)
    rng = np.random.default_rng(0)
    evidence = rng.normal(size=120) / 4
    belief = learn(system, features, evidence, np.sort(rng.permutation(120)[:40]), study.settings)
    told = np.sort(rng.permutation(120)[:90])
    blocks = plan(system, belief, number, 30, study.settings, 0.2, told)
    asked = [image for block in blocks for image in block.images]
    assert asked
    assert not np.isin(asked, told).any()
    assert plan(system, belief, number, 30, study.settings, 0.2, np.arange(120)) == []


def test_what_was_corrected_is_not_unsure(tmp_path, photographs, oracle):
    study = Study.create(
        tmp_path / "told", images=photographs, target="rose", observer="own", looks_per_round=30, max_looks=30
    )
    for image in study.data().ids.tolist():
        study.store.correct(image, "rose", bool(image % 2))
    assert list(run(study, oracle)) == []  # nothing is left to ask
    study.store.correct(study.data().ids[0].item(), "rose", None)
    done = next(run(study, oracle))
    assert (done.looks, done.unsure) == (1, pytest.approx(0, abs=1 / 120))


def test_rounds_that_are_answered_but_not_over_are_ended_as_they_were(study, oracle):
    first = list(run(study, oracle))
    weights = [study.head(one.number).weight for one in first]
    with sqlite3.connect(study.folder / "store.sqlite") as raw:
        raw.execute("delete from round where number > 1")
    again = list(run(Study.open(study.folder), oracle))
    assert stable(again) == stable(first[1:])
    for one, weight in zip(first, weights, strict=True):
        np.testing.assert_array_equal(study.head(one.number).weight, weight)
