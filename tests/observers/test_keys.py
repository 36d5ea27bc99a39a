import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import lognorm
from sklearn.metrics import roc_auc_score

from brainloop.errors import DecoderError
from brainloop.observers.keys import WINDOW, KeySense, ReactionModel, _log_sum
from brainloop.observers.presser import Presser

MODEL = ReactionModel(mean=0.45, sd=0.1, hit_rate=0.85, false_rate=0.05, targets=70, others=530)


def watch(presser, n_blocks, soa=0.2, size=50, share=0.12, first=0):
    """Blocks that somebody looked at: their onsets, truths and presses."""
    blocks = []
    for number in range(first, first + n_blocks):
        truth = np.random.default_rng([presser.seed, number, 1]).random(size) < share
        onsets = 100.0 * number + np.arange(size) * soa
        blocks.append((onsets, truth, presser.press(onsets, truth, number)))
    return tuple(zip(*blocks, strict=True))


@pytest.fixture(scope="module")
def calibration():
    return watch(Presser(1), 16)


@pytest.fixture(scope="module")
def model(calibration):
    return ReactionModel.fit(*calibration)


def by_counting(model, onsets, presses):
    """Evidence from every way in which presses may have been caused by images, one by one."""
    expected = model.prevalence * model.hit_rate
    sd = np.sqrt(np.log1p((model.sd / model.mean) ** 2))
    density = lognorm(sd, scale=model.mean * np.exp(-(sd**2) / 2)).pdf
    odds = expected / (1 - expected) * density(presses - onsets[:, None]) / model.false_rate
    total, caused = 0.0, np.zeros(len(onsets))
    for causes in product(range(-1, len(onsets)), repeat=len(presses)):
        images = [image for image in causes if image >= 0]
        if len(set(images)) == len(images):
            weight = np.prod([odds[image, press] for press, image in enumerate(causes) if image >= 0])
            total += weight
            caused[images] += weight
    chance = caused / total
    ratio = chance / (1 - chance) * (1 - expected) / expected
    return np.log(1 - model.hit_rate + model.hit_rate * ratio), total


def test_one_press_is_counted_exactly():
    onsets, press = np.arange(8) * 0.2, np.array([1.03])
    np.testing.assert_allclose(MODEL.evidence(onsets, press), by_counting(MODEL, onsets, press)[0], atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_presses_that_share_causes_are_counted_nearly_exactly(seed):
    rng = np.random.default_rng(seed)
    onsets = np.arange(6) * rng.choice([0.1, 0.2, 0.3])
    presses = np.sort(rng.uniform(0.3, onsets[-1] + 0.6, 3))
    exact, _ = by_counting(MODEL, onsets, presses)
    got = MODEL.evidence(onsets, presses)
    np.testing.assert_allclose(got, np.clip(exact, -np.log(71), np.log(531)), atol=0.15)


def test_the_sum_over_matchings_is_exact_without_cycles():
    odds = np.array([[2.0, 0.0], [0.5, 3.0]])
    assert _log_sum(odds) == pytest.approx(np.log(1 + 2 + 0.5 + 3 + 2 * 3))


def test_the_image_before_a_press_by_the_mean_reaction_time_gains_most_and_far_ones_lose():
    onsets = np.arange(30) * 0.2
    evidence = MODEL.evidence(onsets, np.array([2.0 + MODEL.mean]))
    assert evidence.argmax() == 10
    assert evidence[10] > 1
    np.testing.assert_allclose(evidence[20:], np.log(1 - MODEL.hit_rate))


def test_a_press_explained_by_one_image_says_less_about_its_neighbour():
    onsets, press = np.array([0.0, 0.1]), np.array([0.45])
    alone = MODEL.evidence(onsets[1:], press)[0]
    beside = MODEL.evidence(onsets, press)[1]
    assert beside < alone


def test_without_a_press_every_image_is_a_likely_non_target():
    np.testing.assert_allclose(MODEL.evidence(np.arange(5) * 0.2, np.empty(0)), np.log(0.15))


def test_evidence_stays_within_what_a_short_calibration_can_support():
    sure = ReactionModel(mean=0.45, sd=0.01, hit_rate=0.99, false_rate=1e-4, targets=5, others=20)
    evidence = sure.evidence(np.array([0.0, 5.0]), np.array([0.45]))
    np.testing.assert_allclose(evidence, [np.log(21), -np.log(6)])


def test_learning_finds_how_a_person_presses():
    _, truth, _ = blocks = watch(Presser(1, blink=False), 60)
    model = ReactionModel.fit(*blocks)
    assert model.mean == pytest.approx(0.45, abs=0.02)
    assert model.sd == pytest.approx(0.1, abs=0.02)
    assert model.hit_rate == pytest.approx(0.9, abs=0.05)
    assert 60 * model.false_rate == pytest.approx(2, abs=2)
    assert model.targets == sum(t.sum() for t in truth)
    assert model.prevalence == pytest.approx(0.12, abs=0.03)


def test_with_few_presses_reaction_times_stay_near_the_ordinary():
    fitted = ReactionModel.fit(*watch(Presser(2), 2))
    assert 0.3 < fitted.mean < 0.6
    assert 0.05 < fitted.sd < 0.2


def test_the_density_is_that_of_scipy_and_nothing_outside_the_window():
    delay = np.linspace(-0.5, 2, 251)
    sd = np.sqrt(np.log1p((MODEL.sd / MODEL.mean) ** 2))
    expected = lognorm(sd, scale=MODEL.mean * np.exp(-(sd**2) / 2)).pdf(delay)
    np.testing.assert_allclose(MODEL.density(delay), np.where(delay <= WINDOW, expected, 0), atol=1e-12)


def test_evidence_of_new_blocks_tells_targets_and_means_what_it_says():
    evidence, truth = [], []
    for seed in range(10, 16):
        fitted = ReactionModel.fit(*watch(Presser(seed), 12))
        for onsets, is_target, presses in zip(*watch(Presser(seed), 8, first=100), strict=True):
            evidence.append(fitted.evidence(onsets, presses))
            truth.append(is_target)
    evidence, truth = np.concatenate(evidence), np.concatenate(truth)
    assert roc_auc_score(truth, evidence) > 0.86
    probability = 1 / (1 + np.exp(-evidence - np.log(truth.mean() / (1 - truth.mean()))))
    for low, high in ((0, 0.05), (0.05, 0.3), (0.3, 0.6), (0.6, 1)):
        those = (probability >= low) & (probability < high)
        assert truth[those].mean() == pytest.approx(probability[those].mean(), abs=0.08)


def test_held_out_evidence_is_in_the_order_of_presentations_and_of_other_blocks_only(calibration):
    onsets, truth, presses = calibration
    evidence = ReactionModel.held_out(*calibration)
    assert roc_auc_score(np.concatenate(truth), evidence) > 0.8
    others = ReactionModel.fit(onsets[1:], truth[1:], presses[1:])
    np.testing.assert_array_equal(evidence[:50], others.evidence(onsets[0], presses[0]))


def test_presses_at_random_hold_nothing(calibration):
    onsets, truth, _ = calibration
    rng = np.random.default_rng(3)
    anywhere = [rng.uniform(shown[0], shown[-1], 6) for shown in onsets]
    with pytest.raises(DecoderError, match="press the space bar once at each target"):
        ReactionModel.fit(onsets, truth, anywhere)
    assert roc_auc_score(np.concatenate(truth), ReactionModel.held_out(onsets, truth, anywhere)) == pytest.approx(
        0.5, abs=0.1
    )


def test_no_press_at_all_is_refused_with_what_to_do(calibration):
    onsets, truth, _ = calibration
    with pytest.raises(DecoderError, match=r"got 0 presses.*press the space bar"):
        ReactionModel.fit(onsets, truth, [np.empty(0)] * len(onsets))


def test_one_class_only_is_refused(calibration):
    onsets, truth, presses = calibration
    with pytest.raises(DecoderError, match="both classes"):
        ReactionModel.fit(onsets, [np.zeros_like(y) for y in truth], presses)


def test_a_single_block_has_nothing_to_hold_out(calibration):
    with pytest.raises(DecoderError, match="two blocks"):
        ReactionModel.held_out(*(part[:1] for part in calibration))


@pytest.mark.parametrize(
    "wrong",
    [
        ([np.arange(3.0)], [np.ones(2, dtype=bool)], [np.empty(0)]),
        ([np.arange(3.0)], [np.ones(3, dtype=bool)], [np.array([np.nan])]),
        ([np.arange(3.0)], [np.ones(3, dtype=bool)], []),
    ],
)
def test_blocks_that_do_not_fit_are_refused(wrong):
    with pytest.raises(DecoderError, match="expected"):
        ReactionModel.fit(*wrong)


def test_a_model_survives_json(model):
    assert ReactionModel.from_dict(json.loads(json.dumps(model.to_dict()))) == model


@pytest.mark.parametrize(
    "change",
    [
        {"mean": -1.0},
        {"sd": float("nan")},
        {"hit_rate": 1.0},
        {"false_rate": 0.0},
        {"targets": 0},
        {"sd": "x"},
        {"b": 1},
    ],
)
def test_a_spoilt_model_is_refused(change):
    with pytest.raises(DecoderError, match="expects"):
        ReactionModel.from_dict(MODEL.to_dict() | change)


@settings(max_examples=60, deadline=None)
@given(
    soa=st.sampled_from([0.1, 0.2, 1 / 3]),
    presses=st.lists(st.floats(0, 9), max_size=14),
    steps=st.lists(st.floats(0.01, 1.5), min_size=1, max_size=30),
)
def test_answers_of_a_running_block_are_those_of_the_whole_block(soa, presses, steps):
    onsets = 50 + np.arange(24) * soa
    presses = 50 + np.sort(presses)
    sense = KeySense(MODEL)
    sense.begin()
    answers, told, now = [], 0, 50.0
    for step in [*steps, 20.0]:
        before, now = now, now + step
        while told < len(onsets) and onsets[told] < now:
            sense.shown(told, float(onsets[told]))
            told += 1
        for when in presses[(presses >= before) & (presses < now)]:
            sense.press(float(when))
        answers += sense.answers(now)
    answers += sense.finish()
    assert [position for position, _ in answers] == list(range(24))
    np.testing.assert_array_equal([value for _, value in answers], MODEL.evidence(onsets, presses))


def test_an_answer_comes_when_no_press_can_change_it_and_not_before():
    sense = KeySense(MODEL)
    sense.begin()
    sense.shown(5, 10.0)
    assert sense.answers(10.0 + WINDOW) == []
    assert [position for position, _ in sense.answers(10.01 + WINDOW)] == [5]
    assert sense.answers(100.0) == []


def test_a_new_block_forgets_the_one_before():
    sense = KeySense(MODEL)
    sense.begin()
    sense.shown(0, 10.0)
    sense.press(10.45)
    sense.begin()
    sense.shown(0, 10.0)
    assert sense.finish() == [(0, pytest.approx(np.log(0.15)))]
