import subprocess
import sys
import time

import numpy as np
import pytest

from brainloop.errors import LeaseError, StudyError
from brainloop.presentation.block import Block
from brainloop.store import Round

from .conftest import change, lapse, response, rows


def block(*images):
    return Block(0, 0, images, 0.2, "rose")


def answer_all(store, number, station, n, person="sub-01"):
    for position in range(n):
        store.answer(number, position, response(number + position / 10, person=person), station)


@pytest.fixture
def store(new_store):
    return new_store(lease_s=60.0)


def test_images_of_another_station_are_leased_and_refused_whole(store):
    store.plan([block(0, 1), block(1, 2)], "left")
    assert store.leased("right").tolist() == [0, 1, 2]
    assert store.leased("left").tolist() == []
    with pytest.raises(LeaseError, match="got 2 that one is, such as image 1") as refused:
        store.plan([block(3, 4), block(2, 1)], "right")
    assert refused.value.images == (1, 2)
    assert len(store.blocks()) == 2
    store.plan([block(3, 4)], "right")
    assert store.leased("left").tolist() == [3, 4]


def test_an_overlap_is_possible_for_whoever_asks_for_it(store):
    store.plan([block(0, 1)], "left")
    store.plan([block(1, 2)], "right", overlap=True)
    assert store.leased("third").tolist() == [0, 1, 2]
    with pytest.raises(LeaseError):
        store.plan([block(2)], "left")
    answer_all(store, 1, "left", 2)
    assert store.leased("third").tolist() == [1, 2]


def test_a_lease_ends_with_the_last_answer_to_the_last_block_that_needs_it(store):
    store.plan([block(0, 1), block(1, 2)], "left")
    answer_all(store, 1, "left", 2)
    assert store.leased("right").tolist() == [1, 2]
    store.answer(2, 0, response(), "left")
    assert store.leased("right").tolist() == [1, 2]
    store.answer(2, 1, response(), "left")
    assert store.leased("right").tolist() == []


def test_a_station_goes_on_with_its_own_blocks_alone(store):
    store.plan([block(0, 1), block(2)], "left")
    store.plan([block(3)], "right")
    answer_all(store, 1, "left", 1)
    assert store.blocks_of("left") == [(Block(1, 1, (0, 1), 0.2, "rose"), 1), (Block(1, 2, (2,), 0.2, "rose"), 0)]
    assert store.blocks_of("right") == [(Block(1, 3, (3,), 0.2, "rose"), 0)]
    assert store.blocks_of("nobody") == []


def test_a_lapsed_station_is_freed_when_another_plans_and_what_it_answered_stays(store):
    store.plan([block(0, 1, 2), block(3)], "left")
    answer_all(store, 1, "left", 2)
    lapse(store, "left")
    assert store.leased("right").tolist() == []
    assert len(store.blocks_of("left")) == 2
    store.plan([block(2, 3)], "right")
    assert store.blocks_of("left") == []
    assert store.blocks()[0] == (Block(1, 1, (0, 1), 0.2, "rose"), 2)
    assert store.waiting() == 2


def test_a_lapsed_station_whose_images_nobody_took_goes_on_as_if_it_had_been_there(store):
    store.enter("left")
    store.plan([block(0, 1)], "left")
    lapse(store, "left")
    store.renew("left")
    assert store.leased("right").tolist() == [0, 1]
    answer_all(store, 1, "left", 2)
    assert store.waiting() == 2


def test_a_station_that_plans_again_keeps_its_own_blocks_though_its_time_had_run_out(store):
    store.plan([block(0, 1)], "left")
    lapse(store, "left")
    store.plan([block(2)], "left")
    assert len(store.blocks_of("left")) == 2
    assert store.leased("right").tolist() == [0, 1, 2]


def test_a_look_that_comes_after_its_block_was_released_is_kept_as_a_late_one(store):
    store.plan([block(0, 1, 2, 3)], "left")
    store.answer(1, 0, response(1.0), "left")
    lapse(store, "left")
    store.plan([block(1)], "right")
    answer_all(store, 2, "right", 1)
    assert store.begin_round() == 1
    store.answer(1, 1, response(2.0), "left")
    store.answer(1, 2, response(3.0), "left")
    looks = store.looks()
    np.testing.assert_array_equal(looks.image, [0, 1, 1, 2])
    np.testing.assert_array_equal(looks.evidence, [1.0, 2.0, 2.0, 3.0])
    np.testing.assert_array_equal(looks.round, [1, 1, 2, 2])
    assert store.blocks(2) == [(Block(2, 3, (1, 2), 0.2, "rose"), 2)]
    assert store.waiting() == 2
    store.answer(1, 2, response(3.0), "left")  # once more: its acknowledgement may have been lost
    with pytest.raises(StudyError, match="answered already"):
        store.answer(1, 2, response(4.0), "left")
    assert store.looks().image.size == 4
    store.begin_round()
    store.answer(1, 3, response(5.0), "left")
    assert store.blocks(3) == [(Block(3, 4, (3,), 0.2, "rose"), 1)]


def test_leaving_releases_what_is_not_answered(store):
    store.enter("left", "ada")
    store.plan([block(0, 1), block(2, 3)], "left")
    answer_all(store, 1, "left", 2)
    store.answer(2, 0, response(), "left")
    store.leave("left")
    assert store.leased("right").tolist() == store.blocks_of("left") == []
    assert [one for one, _ in store.blocks()] == [Block(1, 1, (0, 1), 0.2, "rose"), Block(1, 2, (2,), 0.2, "rose")]
    assert store.waiting() == 3
    assert not store.stations()[0].alive


def test_stations_are_listed_with_who_sits_there_and_what_they_did(store):
    offset = store.enter("right", "bob", clock=time.time() + 3600)
    assert offset == pytest.approx(3600, abs=5)
    assert store.enter("left", "ada") == pytest.approx(0, abs=5)
    store.plan([block(0, 1), block(2, 3)], "left")
    answer_all(store, 1, "left", 2)
    lapse(store, "right")
    left, right = store.stations()
    assert (left.name, left.person, left.alive, left.looks, left.blocks) == ("left", "ada", True, 2, 1)
    assert (right.name, right.person, right.alive, right.looks, right.blocks) == ("right", "bob", False, 0, 0)
    assert right.clock_offset == pytest.approx(3600, abs=5)
    assert 0 <= left.seen < 60


def test_leases_do_not_heed_the_clocks_of_stations(store):
    store.enter("left", clock=0.0)
    store.plan([block(0)], "left")
    assert store.leased("right").tolist() == [0]
    assert store.enter("left", clock=1e12) > 1e11
    assert store.leased("right").tolist() == [0]


def test_the_primary_key_alone_makes_a_double_lease_impossible(store):
    store.plan([block(0), block(1)], "left")
    with pytest.raises(Exception, match=r"(?i)unique"):
        change(store, "insert into lease (image, holder, block) values (0, '', 2)")
    assert rows(store, "select image, holder, block from lease order by image") == [(0, "", 1), (1, "", 2)]


def test_the_open_round_follows_the_last_that_was_begun(store):
    with pytest.raises(StudyError, match="found none; let somebody look"):
        store.begin_round()
    store.plan([block(0, 1)], "left")
    store.plan([block(2, 3)], "right")
    store.answer(1, 0, response(), "left")
    assert (store.open_round(), store.waiting(), store.begun()) == (1, 0, [])
    answer_all(store, 2, "right", 2)
    assert store.waiting() == 2
    assert store.begin_round() == 1
    # What left has begun to look at counts in the round that it ends in.
    assert (store.open_round(), store.waiting(), store.begun()) == (2, 0, [1])
    assert store.blocks(2) == store.blocks_of("left") == [(Block(2, 1, (0, 1), 0.2, "rose"), 1)]
    store.answer(1, 1, response(), "left")
    assert store.begin_round() == 2
    assert store.begun() == [1, 2]
    np.testing.assert_array_equal(store.looks().round, [2, 2, 1, 1])


def test_a_round_is_closed_once_and_only_if_it_was_begun_or_is_open(store):
    store.plan([block(0)], "left")
    answer_all(store, 1, "left", 1)
    store.begin_round()
    first = Round(1, 1, 0, 1, 1.0, 0.1, 0.5, None, None, None, False)
    store.close_round(first)
    store.close_round(Round(1, 99, 0, 1, 1.0, 0.1, 0.5, None, None, None, False))
    assert store.rounds() == [first]
    assert store.begun() == []
    with pytest.raises(StudyError, match="got round 4; 2 is open"):
        store.close_round(Round(4, 99, 0, 1, 1.0, 0.1, 0.5, None, None, None, False))


def test_a_correction_belongs_to_the_open_round_while_the_last_is_being_trained(store):
    store.plan([block(0)], "left")
    answer_all(store, 1, "left", 1)
    store.begin_round()
    store.correct(4, "rose", True)
    assert store.corrections(1) == {}
    assert store.corrections(2) == {4: ("rose", True)}


def test_a_published_model_is_there_for_every_station_and_stays_as_it_is(store):
    assert store.published("head-001") is None
    store.publish("head-001", bytes(range(256)))
    store.publish("features", b"")
    store.publish("head-001", b"of a second trainer, who was slower")
    assert store.published("head-001") == bytes(range(256))
    assert store.published("features") == b""
    assert store.published_names() == ["features", "head-001"]


def test_on_a_file_leases_hold_for_ever_and_a_new_station_takes_the_place_of_the_old(tmp_path, fill):
    store = fill(tmp_path / "store.sqlite")
    store.enter("left")
    store.plan([block(0)], "left")
    assert np.isinf(store._lease_s)
    assert store.leased("right").tolist() == [0]
    store.enter("right")
    store.plan([block(0)], "right")
    assert store.blocks_of("left") == []
    with store.training() as trains:
        assert trains


def test_two_processes_cannot_be_one_station_until_the_first_is_killed(new_database, fill):
    url = new_database()
    store = fill(url)
    script = (
        "import sys, time; from brainloop.store import Store; store = Store(sys.argv[1]); store.enter('left'); "
        "print('there', flush=True); time.sleep(100)"
    )
    with subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "there\n"
        with pytest.raises(StudyError, match="another process is the station 'left'"):
            store.enter("left")
        other.kill()
    store.enter("left")


def test_one_process_trains_at_a_time(new_database, fill, opened):
    url = new_database()
    store, other = fill(url), opened(url)
    with store.training() as first, other.training() as second:
        assert (first, second) == (True, False)
    with other.training() as again:
        assert again


def test_names_and_training_are_free_once_a_store_is_closed(new_database, fill, opened):
    url = new_database()
    store, other = fill(url), opened(url)
    store.enter("left")
    store.close()
    other.enter("left")
