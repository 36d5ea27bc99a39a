import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainloop.errors import StudyError
from brainloop.presentation.block import Block, Response
from brainloop.store import PoolImage, Round, Store


def images(n=6):
    return [PoolImage(k, f"hash{k}", f"a/{k}.png", "a" if k % 2 else None, "pool") for k in range(n)]


def response(evidence=0.5, rejected=None, score=1.0):
    return Response(score, evidence, rejected, 0.2, "recording#7", "sub-01", "ses-01")


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "store.sqlite")
    opened.create(images(), [("b/x.png", "zero bytes")], {"settings": {"seed": 3}})
    yield opened
    opened.close()


def test_what_was_put_in_comes_out(store):
    assert store.images() == images()
    assert store.skipped() == [("b/x.png", "zero bytes")]
    assert store.fact("settings") == {"seed": 3}
    assert store.fact("no such fact") is None


def test_the_database_keeps_every_commit_through_a_power_cut(store, tmp_path):
    with store._engine.connect() as sql:
        assert sql.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert sql.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


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
    expected = [(Block(1, 1, (0, 2, 4), 0.2), 1), (Block(1, 2, (1,), 0.2), 0), (Block(2, 3, (5, 3), 0.25), 0)]
    assert store.blocks() == expected
    assert store.blocks(2) == expected[2:]


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
    with pytest.raises(StudyError, match="FOREIGN KEY"):
        store.plan([Block(1, 1, (0, 1), 0.2), Block(1, 2, (77,), 0.2)])
    assert store.blocks() == []


def test_rows_carry_person_session_and_station(store, tmp_path):
    store.plan([Block(1, 1, (0,), 0.2)])
    store.answer(1, 0, response(), station="left")
    with sqlite3.connect(tmp_path / "store.sqlite") as raw:
        assert raw.execute("select person, session, station from response").fetchall() == [("sub-01", "ses-01", "left")]


floats = st.floats(-1e6, 1e6)


@settings(max_examples=25, deadline=None)
@given(evidence=st.lists(floats, min_size=1, max_size=6), auc=st.none() | st.floats(0, 1))
def test_evidence_and_measures_come_back_to_the_last_bit(tmp_path_factory, evidence, auc):
    store = Store(tmp_path_factory.mktemp("store") / "store.sqlite")
    store.create(images(), [], {})
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


def answered(store, blocks, people):
    """Plan blocks of one round each and let people answer them, the n-th block by the n-th person."""
    for number, (images_, person) in enumerate(zip(blocks, people, strict=True), start=1):
        store.plan([Block(number, 0, images_, 0.2)])
        for position in range(len(images_)):
            store.answer(number, position, replace(response(number + position / 10), person=person))
        store.close_round(Round(number, 3, 0, 3, 1.0, 0.1, 0.5, None, None, None, False))


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
    answered(store, [(1, 2, 3)], ["ada"])
    store.correct(4, "rose", True)
    assert store.corrections(1) == {0: ("rose", True)}
    assert store.corrections(2) == store.corrections() == {0: ("rose", True), 4: ("rose", True)}


@pytest.mark.parametrize(("image", "expected"), [(2, "in the test part"), (77, "none of that id")])
def test_only_images_of_the_pool_can_be_corrected(tmp_path, image, expected):
    store = Store(tmp_path / "other.sqlite")
    store.create([replace(one, part="test") if one.id == 2 else one for one in images()], [], {})
    with pytest.raises(StudyError, match=expected):
        store.correct(image, "rose", True)
    assert store.corrections() == {}
    store.close()


def test_a_person_who_is_forgotten_leaves_the_others_as_they_were(store):
    answered(store, [(0, 1), (2, 3), (4, 5), (1, 3)], ["ada", "bob", "ada", "bob"])
    store.correct(0, "rose", True, person="bob")
    store.correct(5, "rose", True, person="ada")
    assert store.people() == {"ada": (4, 1), "bob": (4, 1)}
    assert store.forget_person("bob") == {"responses": 4, "corrections": 1}
    assert store.people() == {"ada": (4, 1)}
    looks = store.looks()
    np.testing.assert_array_equal(looks.image, [0, 1, 4, 5])
    np.testing.assert_array_equal(looks.evidence, [1.0, 1.1, 3.0, 3.1])
    # Rounds move up; the first, from before bob came, is over still; the correction belongs to what comes next.
    np.testing.assert_array_equal(looks.round, [1, 1, 2, 2])
    assert [one.number for one in store.rounds()] == [1]
    assert store.corrections(2) == {}
    assert store.corrections(3) == {5: ("rose", True)}


def test_a_block_that_two_people_shared_is_over_once_one_is_forgotten(store):
    store.plan([Block(1, 0, (0, 1, 2, 3), 0.2), Block(1, 0, (4, 5), 0.2)])
    for position, person in enumerate(["ada", "bob", "ada"]):
        store.answer(1, position, replace(response(), person=person))
    store.forget_person("ada")
    assert store.blocks() == [(Block(1, 1, (1,), 0.2), 1), (Block(1, 2, (4, 5), 0.2), 0)]


def test_nothing_of_a_forgotten_person_is_left_in_the_files_of_the_store(store, tmp_path):
    answered(store, [(0, 1, 2)] * 5, ["zaphod", "ada", "zaphod", "ada", "zaphod"])
    store.correct(5, "rose", True, person="zaphod")

    def found():
        return [path.name for path in sorted(tmp_path.iterdir()) if b"zaphod" in path.read_bytes()]

    assert found()
    store.forget_person("zaphod")
    assert found() == []
    assert store.forget_person("zaphod") == {"responses": 0, "corrections": 0}


def test_a_store_that_another_program_reads_is_not_said_to_be_clean(store, tmp_path):
    answered(store, [(0, 1, 2)], ["ada"])
    with closing(sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from response").fetchone()
        with store._engine.connect() as sql:
            sql.exec_driver_sql("PRAGMA busy_timeout=50")
        with pytest.raises(StudyError, match="close what uses the study, and erase again"):
            store.forget_person("ada")
        reader.execute("rollback")
    store.forget_person("ada")
    assert b"ada" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
