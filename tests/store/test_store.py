import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainloop.errors import StudyError
from brainloop.presentation.block import Block
from brainloop.store import Round, Store

from .conftest import pool, response, rows


def test_what_was_put_in_comes_out(store):
    assert store.images() == pool()
    assert store.skipped() == [("b/x.png", "zero bytes")]
    assert store.fact("settings") == {"seed": 3}
    assert store.fact("no such fact") is None


def test_the_database_keeps_every_commit_through_a_power_cut(store):
    if store.is_shared:
        assert rows(store, "show synchronous_commit") == [("on",)]
    else:
        assert rows(store, "PRAGMA journal_mode") == [("wal",)]
        assert rows(store, "PRAGMA synchronous") == [(2,)]  # FULL


def test_a_fact_is_replaced_by_the_next_of_its_name(store):
    store.note("observer", {"soa": 0.2})
    store.note("observer", {"soa": 0.3})
    assert store.fact("observer") == {"soa": 0.3}


def test_an_image_that_fails_later_is_marked_with_its_reason(store):
    store.skip({"a/1.png": "truncated"})
    assert store.images()[1].part == "unusable"
    assert ("a/1.png", "truncated") in store.skipped()
    store.skip({"a/1.png": "vanished"})
    assert ("a/1.png", "vanished") in store.skipped()


def test_blocks_are_numbered_on_and_count_their_answers(store):
    store.plan([Block(1, 99, (0, 2, 4), 0.2), Block(1, 99, (1,), 0.2)])
    store.plan([Block(2, 1, (5, 3), 0.25)])
    store.answer(1, 0, response())
    expected = [(Block(1, 1, (0, 2, 4), 0.2), 1), (Block(1, 2, (1,), 0.2), 0), (Block(1, 3, (5, 3), 0.25), 0)]
    assert store.blocks() == store.blocks(1) == expected
    assert store.blocks(2) == []


def test_looks_come_in_the_order_of_the_plan_whatever_the_order_of_the_answers(store):
    store.plan([Block(1, 1, (4, 2), 0.2)])
    store.answer(1, 1, response(0.25))
    store.answer(1, 0, response(0.0, "gap", np.nan))
    looks = store.looks()
    np.testing.assert_array_equal(looks.image, [4, 2])
    np.testing.assert_array_equal(looks.evidence, [0.0, 0.25])
    np.testing.assert_array_equal(np.isnan(looks.score), [True, False])
    assert looks.rejected == ["gap", None]


def test_an_empty_store_has_no_looks(store):
    assert store.looks().image.shape == store.looks().evidence.shape == (0,)


@pytest.mark.parametrize(("position", "expected"), [(0, "answered already"), (5, "no presentation 5")])
def test_a_response_is_never_counted_twice_nor_for_what_was_not_planned(store, position, expected):
    store.plan([Block(1, 1, (0, 1), 0.2)])
    store.answer(1, 0, response())
    with pytest.raises(StudyError, match=expected):
        store.answer(1, position, response(9.0))
    assert store.looks().evidence.tolist() == [0.5]


def test_a_plan_with_an_unknown_image_leaves_nothing_behind(store):
    with pytest.raises(StudyError, match=r"(?i)refuses.*foreign key"):
        store.plan([Block(1, 1, (0, 1), 0.2), Block(1, 2, (77,), 0.2)])
    assert store.blocks() == []


def test_a_look_carries_person_session_station_and_when_the_store_took_it(store):
    store.plan([Block(1, 1, (0,), 0.2)], "left")
    before = time.time()
    store.answer(1, 0, response(), station="left")
    looks = store.looks()
    assert (looks.person, looks.session, looks.station) == (["sub-01"], ["ses-01"], ["left"])
    assert before - 1 < looks.at[0] < time.time() + 1


floats = st.floats(-1e6, 1e6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(evidence=st.lists(floats, min_size=1, max_size=6), auc=st.none() | st.floats(0, 1))
def test_evidence_and_measures_come_back_to_the_last_bit(new_store, evidence, auc):
    store = new_store()
    store.plan([Block(1, 1, tuple(range(len(evidence))), 0.2)])
    for position, value in enumerate(evidence):
        store.answer(1, position, response(value))
    measures = Round(1, len(evidence), 0, len(evidence), 1 / 3, 0.1, 0.7, auc, auc, auc, False)
    store.close_round(measures)
    assert store.looks().evidence.tolist() == evidence
    assert store.rounds() == [measures]
    store.close()


def test_a_file_that_is_no_store_is_refused_by_name(tmp_path):
    (tmp_path / "store.sqlite").write_bytes(b"this is not a database, and long enough to be read as one" * 20)
    with pytest.raises(StudyError, match=r"store\.sqlite.*not a database"):
        Store(tmp_path / "store.sqlite")


def test_a_correction_is_kept_replaced_and_taken_back(store):
    store.correct(3, "rose", True, person="ada")
    store.correct(1, "rose", False, person="ada")
    assert store.corrections() == {1: ("rose", False), 3: ("rose", True)}
    store.correct(3, "rose", False, person="bob")
    assert store.corrections() == {1: ("rose", False), 3: ("rose", False)}
    assert store.people() == {"ada": (0, 1), "bob": (0, 1)}
    store.correct(3, "rose", None)
    assert store.corrections() == {1: ("rose", False)}


def test_a_correction_is_first_heard_by_the_round_that_is_not_over_yet(store):
    store.correct(0, "rose", True)
    store.plan([Block(1, 0, (1,), 0.2)])
    store.answer(1, 0, response())
    store.close_round(Round(1, 1, 0, 1, 1.0, 0.1, 0.5, None, None, None, False))
    store.correct(4, "rose", True)
    assert store.corrections(1) == {0: ("rose", True)}
    assert store.corrections(2) == store.corrections() == {0: ("rose", True), 4: ("rose", True)}


@pytest.mark.parametrize(("image", "expected"), [(2, "in the test part"), (77, "none of that id")])
def test_only_images_of_the_pool_can_be_corrected(new_store, image, expected):
    store = new_store([replace(one, part="test") if one.id == 2 else one for one in pool()])
    with pytest.raises(StudyError, match=expected):
        store.correct(image, "rose", True)
    assert store.corrections() == {}
