import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from brainloop.driving.watchers import LATENCY, ReplayWatcher, SimulatedWatcher
from brainloop.errors import SettingsError
from brainloop.observers.answers import Answer, Answers, Decoded
from brainloop.presentation.block import Response


def responses(watcher, n=20_000):
    hazards = np.arange(n) % 2 == 0
    return hazards, np.array([watcher.answer(bool(hazard)) for hazard in hazards])


@pytest.mark.parametrize(("auc", "misses"), [(0.85, 0.1), (0.7, 0.3), (0.95, 0.0)])
def test_the_auc_of_all_responses_is_as_given_misses_included(auc, misses):
    hazards, evidence = responses(SimulatedWatcher(auc, misses, seed=1))
    assert roc_auc_score(hazards, evidence) == pytest.approx(auc, abs=0.01)


def test_evidence_is_the_log_likelihood_ratio_of_the_responses():
    # Of calibrated evidence, E[exp(L)] over responses to nothing is 1, and so is E[exp(-L)] over those to hazards.
    hazards, evidence = responses(SimulatedWatcher(0.85, 0.1, seed=2), 100_000)
    assert np.exp(evidence[~hazards]).mean() == pytest.approx(1, abs=0.05)
    assert np.exp(-evidence[hazards]).mean() == pytest.approx(1, abs=0.05)


def test_it_responds_twice_a_second_to_what_was_seen_since_and_is_heard_after_a_human_latency():
    watcher = SimulatedWatcher(1 - 1e-9, 0.0, seed=0)
    watcher.begin()
    heard = []
    for step in range(1, 201):
        watcher.see(0.1 * step, hazard=10.0 < 0.1 * step < 12.4)
        for said in watcher.heard():
            assert said.time <= 0.1 * step + 1e-9
            heard.append(said)
    assert len(heard) == pytest.approx(38, abs=1)
    assert all(said.end - said.begin == pytest.approx(0.5) for said in heard)
    assert np.median([said.time - said.end for said in heard]) == pytest.approx(LATENCY)
    surprised = [said for said in heard if said.evidence > 0]
    assert len(surprised) == 5
    assert 9.5 < min(said.begin for said in surprised) < max(said.end for said in surprised) < 13.5


@given(st.integers(0, 10_000))
def test_one_seed_is_one_person(seed):
    one, other = SimulatedWatcher(seed=seed), SimulatedWatcher(seed=seed)
    assert [one.answer(True) for _ in range(5)] == [other.answer(True) for _ in range(5)]


def test_another_drive_begins_without_what_was_unsaid_of_the_last_one():
    watcher = SimulatedWatcher(seed=0)
    for step in range(1, 30):
        watcher.see(0.1 * step, hazard=True)
    watcher.begin()
    watcher.see(0.1, hazard=False)
    assert watcher.heard() == []


def test_misses_that_allow_no_such_auc_are_refused():
    with pytest.raises(SettingsError, match=r"between \.5 and 0\.75"):
        SimulatedWatcher(auc=0.8, misses=0.5)


def answers(kinds):
    epochs = tuple(
        Answer(
            kind, Response(score=0.0, evidence=evidence, rejected=rejected, onset=0.0, source="", person="", session="")
        )
        for kind, evidence, rejected in kinds
    )
    return Answers((Decoded(epochs, np.zeros(0), np.zeros(0, dtype=bool), None, {}, None),))


def test_a_recorded_person_answers_with_evidence_of_their_usable_epochs_by_kind():
    watcher = ReplayWatcher(answers([(True, 2.0, None), (True, 9.0, "gap"), (False, -1.0, None), (False, -3.0, None)]))
    assert {watcher.answer(True) for _ in range(20)} == {2.0}
    assert {watcher.answer(False) for _ in range(50)} == {-1.0, -3.0}


def test_a_recording_without_one_of_the_kinds_cannot_watch():
    with pytest.raises(SettingsError, match="both classes"):
        ReplayWatcher(answers([(False, -1.0, None)]))
