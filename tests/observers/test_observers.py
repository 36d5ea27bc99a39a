"""What every observer must keep, driven by a list; then what is each one's own."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from brainloop.eeg.recordings import Recording
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.errors import RecordingError
from brainloop.observers.answers import Answer, Answers, decode
from brainloop.observers.hardness import hardness
from brainloop.observers.oracle import CERTAIN, Oracle
from brainloop.observers.replay import Replay, _Deck
from brainloop.observers.simulated import Simulated
from brainloop.presentation.block import Block, Response

N_IMAGES = 300
IS_TARGET = np.arange(N_IMAGES) % 8 == 0
TRUTH = {"rose": IS_TARGET}
RANK = np.random.default_rng(0).random(N_IMAGES)


@pytest.fixture(scope="module")
def recording() -> Recording:
    return SyntheticWearer(5).calibration(600)


@pytest.fixture(scope="module")
def decoded(recording) -> Answers:
    return decode([recording], decoder="lda")


@pytest.fixture(params=["replay", "simulated", "oracle"])
def make(request, decoded):
    makers = {
        "replay": lambda **values: Replay(decoded, TRUTH, **values),
        "simulated": lambda **values: Simulated(TRUTH, decoder="lda", **values),
        "oracle": lambda **values: Oracle(TRUTH, soa=0.2, **values),
    }
    return makers[request.param]


fallible = pytest.mark.parametrize("make", ["replay", "simulated"], indirect=True)
"""Those who look at EEG, with a seed, and with images that are hard to tell."""


def block(number=1, images=range(40), soa=0.2):
    return Block(1, number, tuple(images), soa, "rose")


def answers(observer, *blocks):
    return [list(observer.respond(one)) for one in blocks]


def test_a_block_gets_one_response_a_presentation_in_order(make):
    observer = make()
    shown = block(soa=observer.soa)
    responses = list(observer.respond(shown))
    assert len(responses) == 40
    np.testing.assert_allclose([r.onset for r in responses], shown.onsets, atol=1e-9)
    assert all(r.person and r.source for r in responses)


def test_a_rejected_epoch_says_why_and_carries_no_evidence(make):
    for response in [r for some in answers(make(), *(block(k) for k in range(1, 6))) for r in some]:
        assert (response.rejected is not None) == np.isnan(response.score)
        assert response.rejected is None or response.evidence == 0


@fallible
def test_one_seed_gives_one_set_of_responses_and_another_gives_others(make):
    first, again, other = (answers(make(seed=seed), block()) for seed in (0, 0, 1))
    assert first == again != other


def test_a_block_that_was_interrupted_goes_on_with_the_responses_it_would_have_had(make):
    whole = answers(make(), block(1), block(2, range(40, 80)))
    observer = make()
    observer.recall([block(1)])
    assert list(observer.respond(block(2, range(40, 80)), start=13)) == whole[1][13:]


def test_evidence_tells_targets_from_others_and_is_calibrated(make):
    order = np.random.default_rng(1).permutation(N_IMAGES)
    blocks = [block(k + 1, order[50 * k : 50 * (k + 1)]) for k in range(6)]
    evidence = np.array([r.evidence for some in answers(make(), *blocks) for r in some])
    truth = IS_TARGET[order]
    assert roc_auc_score(truth, evidence) > 0.75
    # A calibrated ratio: adding it to the prior's log-odds lowers the cross-entropy below the prior's own.
    prior = np.log(truth.mean() / (1 - truth.mean()))
    sign = np.where(truth, 1, -1)
    assert np.logaddexp(0, -sign * (prior + evidence)).mean() < np.logaddexp(0, -sign * prior).mean()


@fallible
def test_with_difficulty_hard_targets_evoke_weaker_evidence(make):
    targets = np.flatnonzero(IS_TARGET)
    fillers = np.flatnonzero(~IS_TARGET)[: 3 * targets.size].reshape(-1, 3)
    blocks = [block(k, [t, *fillers[i]]) for k in range(1, 6) for i, t in enumerate(targets)]
    for difficulty, low, high in [(0.0, -0.35, 0.35), (1.0, 0.35, 1.0)]:
        observer = make(hardness={"rose": RANK}, difficulty=difficulty)
        blocks = [replace(one, number=number) for number, one in enumerate(blocks, start=1)]
        first = np.array([next(iter(observer.respond(one))).evidence for one in blocks])
        weakness = spearmanr(first.reshape(5, -1).mean(axis=0), -RANK[targets]).statistic
        assert low < weakness < high


def test_facts_are_ready_for_a_report(make):
    observer = make()
    facts = json.loads(json.dumps(observer.facts))
    assert {"observer", "difficulty", "recordings"} <= set(facts)
    assert set(observer.erps()) == {about["name"] for about in facts["recordings"]}


@fallible
def test_whoever_looks_at_eeg_says_how_well_it_is_decoded(make):
    observer = make()
    about = observer.facts["recordings"][0]
    assert about["training_trials"] > 100
    assert 0.6 < about["auc_calibration"] <= 1
    for mean in observer.erps().values():
        assert mean.mean.shape == (2, len(mean.channels), len(mean.times))


def test_a_replayed_epoch_answers_its_own_class_once_until_the_class_is_spent(recording, decoded):
    observer = Replay(decoded, TRUTH)
    targets = np.flatnonzero(IS_TARGET)
    sources = [r.source for some in answers(observer, block(1, targets), block(2, targets)) for r in some]
    times_used = Counter(sources)
    n_epochs = sum(run.is_target.sum() for run in recording.runs) - 36  # the first 40 % hold 36 of the 90 targets
    assert len(set(sources[:50])) == 50
    assert len(sources) > n_epochs
    assert max(times_used.values()) == 2
    is_target = np.concatenate([run.is_target for run in recording.runs])
    assert all(is_target[int(source.split("#")[1])] for source in sources)


def test_a_replayed_epoch_never_answers_the_same_image_twice(decoded):
    observer = Replay(decoded, TRUTH)
    seen = [r.source for k in range(1, 41) for r in observer.respond(block(k, [0]))]
    assert len(seen) == len(set(seen)) == 40


def test_an_image_shown_more_often_than_there_are_epochs_is_an_error_that_says_so(decoded):
    observer = Replay(decoded, TRUTH)
    with pytest.raises(RecordingError, match="more often than there are epochs"):
        list(observer.respond(block(1, [0] * 100)))


def test_the_first_part_of_a_recording_trains_and_never_answers(decoded):
    observer = Replay(decoded, TRUTH)
    trials = [int(r.source.split("#")[1]) for k in range(1, 6) for r in observer.respond(block(k))]
    assert min(trials) >= 240


def test_several_recordings_answer_together_each_under_its_own_name(recording):
    other = SyntheticWearer(6).calibration(600)
    observer = Replay(decode([recording, other], decoder="lda"), TRUTH)
    people = {r.person for r in observer.respond(block())}
    assert people == {recording.person, other.person}
    assert [about["name"] for about in observer.facts["recordings"]] == [recording.name, other.name]


def test_answers_without_a_class_are_refused(decoded):
    targets = tuple(epoch for epoch in decoded.epochs if epoch.is_target)
    with pytest.raises(RecordingError, match="no non-target epoch"):
        Replay(Answers((replace(decoded.recordings[0], epochs=targets),)), TRUTH)


@given(seed=st.integers(0, 2**16), n_cards=st.integers(1, 12), n_images=st.integers(1, 4))
def test_a_deck_deals_the_quantile_of_those_left_that_the_image_has_not_seen(seed, n_cards, n_images):
    """Reference: the rule written with masks over all cards."""
    rng = np.random.default_rng(seed)
    strengths = rng.permutation(n_cards)
    response = Response(0.0, 0.0, None, 0.0, "", "", "")
    deck = _Deck([Answer(True, replace(response, evidence=float(k))) for k in strengths])
    left, seen = np.ones(n_cards, dtype=bool), np.zeros((n_images, n_cards), dtype=bool)
    for image in rng.permutation(np.repeat(np.arange(n_images), n_cards)):
        quantile = rng.random()
        left[:] |= not left.any()
        fresh = left & ~seen[image] if (left & ~seen[image]).any() else ~seen[image]
        expected = np.flatnonzero(fresh)[int(quantile * fresh.sum())]
        assert deck.draw(int(image), quantile).response.evidence == expected
        left[expected], seen[image, expected] = False, True


def test_the_oracle_tells_the_truth_and_is_sure_of_it():
    responses = list(Oracle(TRUTH, soa=0.2).respond(block()))
    np.testing.assert_array_equal([r.evidence for r in responses], np.where(IS_TARGET[:40], CERTAIN, -CERTAIN))
    assert all(r.rejected is None and r.score == r.evidence for r in responses)


def test_hardness_ranks_the_images_that_a_true_label_head_is_least_right_about():
    rng = np.random.default_rng(0)
    truth = rng.random(400) < 0.3
    features = rng.normal(size=(400, 2)) + 2 * truth[:, None]
    hard = hardness(features, truth, seed=0)
    distance = features.sum(axis=1) * np.where(truth, 1, -1)
    for members in (truth, ~truth):
        assert np.corrcoef(hard[members], -distance[members])[0, 1] > 0.8
        assert 0 < hard[members].min() < hard[members].max() < 1
