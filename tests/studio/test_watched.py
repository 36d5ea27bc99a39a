import pytest

from brainloop.eeg.lsl import local_clock
from brainloop.presentation.block import Block, Response
from brainloop.studio.watched import Watched


def response(rejected=None):
    return Response(0.1, 0.2, rejected, 0.0, "ada/1#1.0", "ada", "1")


def test_counts_follow_what_the_loop_and_the_observer_tell():
    watched = Watched.begin(100, [{"unsure": 0.4}])
    assert (watched.round, watched.looks, watched.sure) == (2, 100, pytest.approx(0.6))
    watched.hear("show", Block(2, 3, (1, 2, 3), 0.2), 0)
    for rejected in (None, "late", "amplitude"):
        watched.hear("look", response(rejected))
    watched.hear("round", {"unsure": 0.1, "looks": 103})
    assert (watched.round, watched.block, watched.looks, watched.answered) == (2, 3, 103, 3)
    assert (watched.late, watched.rejected) == (1, 2)
    assert watched.sure == pytest.approx(0.9)


def test_looks_of_other_stations_are_counted_once_a_round_is_over():
    watched = Watched.begin(10, [])
    watched.hear("look", response())
    watched.hear("round", {"unsure": 0.1, "looks": 50})
    watched.hear("look", response())
    assert (watched.looks, watched.answered) == (51, 2)


def test_images_an_hour_are_counted_from_the_beginning_and_not_at_once():
    watched = Watched.begin(0, [])
    assert watched.images_per_hour is None
    watched.began = local_clock() - 60
    for _ in range(100):
        watched.hear("look", response())
    assert watched.images_per_hour == pytest.approx(6000, rel=0.01)
    assert watched.sure is None
