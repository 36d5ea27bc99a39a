import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainloop.errors import StudyError
from brainloop.presentation.block import Block
from brainloop.store import Round, Store, erasure

from .conftest import response


def measures(number):
    return Round(number, 3, 0, 3, 1.0, 0.1, 0.5, None, None, None, False)


def answered(store, blocks, people):
    """Plan blocks of one round each and let people answer them, the n-th block by the n-th person."""
    for number, (images, person) in enumerate(zip(blocks, people, strict=True), start=1):
        store.plan([Block(number, 0, images, 0.2)])
        for position in range(len(images)):
            store.answer(number, position, response(number + position / 10, person=person))
        assert store.begin_round() == number
        store.publish(f"head-{number:03d}", b"weights")
        store.close_round(measures(number))


def files_with(store, word):
    """Where a word stands on the disk: in the files beside SQLite's, or in those of a database but its log."""
    if not store.is_shared:
        return sorted(path.name for path in Path(store.name).parent.iterdir() if word in path.read_bytes())
    with store._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as sql:
        sql.exec_driver_sql("checkpoint")
        root, number = sql.exec_driver_sql(
            "select current_setting('data_directory'), oid from pg_database where datname = current_database()"
        ).one()
    return sorted(path.name for path in (Path(root) / "base" / str(number)).iterdir() if word in path.read_bytes())


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
    assert (store.begun(), store.open_round()) == ([2], 3)
    assert store.published_names() == ["head-001"]
    assert store.corrections(2) == {}
    assert store.corrections(3) == {5: ("rose", True)}


def test_rounds_that_were_begun_anew_can_be_closed_again(store):
    answered(store, [(0, 1), (2, 3), (4, 5)], ["ada", "bob", "ada"])
    store.forget_person("bob")
    store.close_round(replace(measures(2), looks=4))
    assert [one.looks for one in store.rounds()] == [3, 4]
    assert store.begun() == []


def test_what_others_are_about_to_look_at_in_the_open_round_stays(store):
    answered(store, [(0, 1), (2, 3)], ["bob", "ada"])
    store.plan([Block(0, 0, (4, 5), 0.2)], "left")
    store.answer(3, 0, response(person="ada"), "left")
    store.forget_person("bob")
    assert store.blocks_of("left") == [(Block(2, 3, (4, 5), 0.2), 1)]
    assert store.leased("right").tolist() == [4, 5]
    store.answer(3, 1, response(person="ada"), "left")
    assert store.waiting() == 2


def test_a_block_that_two_people_shared_is_over_once_one_is_forgotten(store):
    store.plan([Block(1, 0, (0, 1, 2, 3), 0.2), Block(1, 0, (4, 5), 0.2)])
    for position, person in enumerate(["ada", "bob", "ada"]):
        store.answer(1, position, response(person=person))
    store.forget_person("ada")
    assert store.blocks() == [(Block(1, 1, (1,), 0.2), 1), (Block(1, 2, (4, 5), 0.2), 0)]
    assert store.leased("right").tolist() == [4, 5]


def test_the_number_of_a_block_that_went_is_not_given_again(store):
    answered(store, [(0, 1)], ["ada"])
    store.forget_person("ada")
    assert (store.blocks(), store.begun(), store.open_round()) == ([], [], 1)
    store.plan([Block(1, 0, (0,), 0.2)])
    assert [block.number for block, _ in store.blocks()] == [2]


def test_nothing_of_a_forgotten_person_is_left_in_the_files_of_the_store(store):
    store.enter("left", "zaphod")
    answered(store, [(0, 1, 2)] * 5, ["zaphod", "ada", "zaphod", "ada", "zaphod"])
    store.correct(5, "rose", True, person="zaphod")
    store.note("observer", {"person": "zaphod"})
    store.note("observer", {})
    assert files_with(store, b"zaphod")
    store.forget_person("zaphod")
    assert files_with(store, b"zaphod") == []
    assert [one.person for one in store.stations() if one.name == "left"] == [""]
    assert store.forget_person("zaphod") == {"responses": 0, "corrections": 0}
    assert store.people() == {"ada": (6, 0)}


def test_who_sits_at_another_station_is_not_forgotten_under_their_eyes(new_database, fill, opened):
    url = new_database()
    store, other = fill(url), opened(url)
    other.enter("right", "ada")
    answered(store, [(0, 1)], ["ada"])
    with pytest.raises(StudyError, match="'right' just now"):
        store.forget_person("ada")
    other.leave("right")
    assert store.forget_person("ada")["responses"] == 2


def test_a_file_that_another_program_reads_is_not_said_to_be_clean(tmp_path, fill):
    store = fill(tmp_path / "store.sqlite")
    answered(store, [(0, 1, 2)], ["ada"])
    with closing(sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from response").fetchone()
        with store._database.engine.connect() as sql:
            sql.exec_driver_sql("PRAGMA busy_timeout=50")
        with pytest.raises(StudyError, match="close what uses the study, and erase again"):
            store.forget_person("ada")
        reader.execute("rollback")
    store.forget_person("ada")
    assert b"ada" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_database_that_another_program_reads_is_not_said_to_be_clean(new_database, fill, monkeypatch):
    monkeypatch.setattr(erasure, "WAIT_S", 0.2)
    url = new_database()
    store = fill(url)
    answered(store, [(0, 1, 2)], ["zaphod"])
    reader = Store(url)
    with reader._database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as sql, sql.begin():
        sql.exec_driver_sql("select count(*) from fact")
        with pytest.raises(StudyError, match="close what uses the study, and erase again"):
            store.forget_person("zaphod")
    reader.close()
    store.forget_person("zaphod")
    assert files_with(store, b"zaphod") == []
