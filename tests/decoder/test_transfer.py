"""A decoder for a new person: from others alone, and from the person's own trials, which count for more."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from brainloop.decoder.decoder import BrainDecoder
from brainloop.decoder.transfer import OWN_WEIGHT, Person, transfer
from brainloop.eeg.epochs import epoch_recording
from brainloop.eeg.signal import Signal
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.errors import DecoderError


def wearer(seed, n=420):
    trials = epoch_recording(SyntheticWearer(seed).calibration(n), Signal())
    ok = trials.usable
    return Person(trials.data[ok], trials.is_target[ok], trials.onsets[ok], trials.runs[ok])


def first(person, n):
    return Person(person.X[:n], person.y[:n], person.onsets[:n], person.runs[:n])


@pytest.fixture(scope="module")
def others():
    return [wearer(21), wearer(22)]


@pytest.fixture(scope="module")
def new():
    return wearer(23, 600)


def auc(decoder, new):
    return roc_auc_score(new.y[300:], decoder.decision_function(new.X[300:]))


def test_a_stranger_is_decoded_above_chance(others, new):
    assert auc(transfer(others, unlabelled=new.X[:200], method="lda"), new) > 0.7


def test_own_trials_overrule_others_whose_responses_have_the_other_sign(others, new):
    turned = [Person(-person.X, person.y, person.onsets, person.runs) for person in others]
    assert auc(transfer(turned, unlabelled=new.X[:200], method="lda"), new) < 0.3
    assert auc(transfer(turned, first(new, 300), method="lda"), new) > 0.7


def test_the_result_is_a_decoder_that_aligns_by_itself(others, new):
    decoder = transfer(others, unlabelled=new.X[:200], method="lda")
    assert isinstance(decoder, BrainDecoder)
    probability = decoder.predict_proba(new.X[300:])
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert set(decoder.predict(new.X[300:])) <= {0, 1}
    assert decoder.alignment_.shape == (8, 8)


def test_another_amplifier_s_gain_on_one_channel_does_not_matter_to_a_stranger_s_scores(others, new):
    gain = np.ones((8, 1))
    gain[3] = 5.0
    plain = transfer(others, unlabelled=new.X[:200], method="lda", alignment="euclidean")
    scaled = transfer(others, unlabelled=gain * new.X[:200], method="lda", alignment="euclidean")
    one, two = plain.decision_function(new.X[300:]), scaled.decision_function(gain * new.X[300:])
    assert np.corrcoef(one, two)[0, 1] > 0.9


def test_few_own_targets_are_calibrated_on_the_others_and_twenty_on_the_person_s_own(others, new):
    few = transfer(others, first(new, 60), method="lda")
    many = transfer(others, first(new, 300), method="lda")
    assert new.y[:60].sum() < 20 <= new.y[:300].sum()
    assert len(few.held_out_) == sum(len(person.X) for person in others)
    assert len(many.held_out_) == 300


def test_own_trials_that_weigh_more_do_not_make_the_evidence_stronger_than_their_number_allows(others, new):
    decoder = transfer(others, first(new, 300), method="lda")
    low, high = decoder.calibration_.limits
    n_targets = int(new.y[:300].sum())
    assert OWN_WEIGHT > 1
    np.testing.assert_allclose([low, high], [-np.log(n_targets + 1), np.log(300 - n_targets + 1)])


def test_what_cannot_be_is_refused_by_name(others, new):
    with pytest.raises(DecoderError, match="expected recordings of other people"):
        transfer([], new)
    with pytest.raises(DecoderError, match="to align by"):
        transfer(others)
    with pytest.raises(DecoderError, match=r"same channels and times for everybody"):
        transfer(others, unlabelled=new.X[:50, :4])
    broken = Person(others[0].X.copy(), others[0].y)
    broken.X[3, 2, 1] = np.nan
    with pytest.raises(DecoderError, match="NaN or infinity in those of person 1"):
        transfer([others[1], broken], unlabelled=new.X[:50])
