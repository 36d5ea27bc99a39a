import os
import time
from pathlib import Path

import pytest

from brainloop.errors import BrainloopError, StudyError
from brainloop.studio.work import Work


@pytest.fixture(autouse=True)
def _a_new_process_finds_this_file(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


def double(talk, number):
    talk.progress("doubling")(1, 2)
    return 2 * number


def nice(talk):
    return os.nice(0)


def fail(talk):
    raise StudyError("there is no study here")


def vanish(talk):
    os._exit(3)


def echo(talk):
    while True:
        kind, value = talk.receive()
        if kind == "end":
            return value
        talk.send("echo", value)


def sleep(talk):
    talk.send("asleep")
    time.sleep(60)


def test_a_work_gives_its_messages_and_its_result():
    heard = []
    assert Work(double, 21).result(lambda *message: heard.append(message)) == 42
    assert heard == [("progress", "doubling", 1, 2)]


def test_a_work_has_a_lower_priority_than_we_have():
    assert Work(nice).result() > os.nice(0)


def test_an_error_of_the_work_is_raised_where_its_result_is_waited_for():
    with pytest.raises(BrainloopError, match="there is no study here"):
        Work(fail).result()


def test_a_work_that_is_killed_is_an_error_that_says_so():
    with pytest.raises(BrainloopError, match=r"'vanish' ended early \(exit status 3\)"):
        Work(vanish).result()


def test_messages_go_both_ways():
    work = Work(echo)
    work.send("say", 1)
    messages = work.messages()
    assert next(messages) == ("echo", 1)
    work.send("end", 2)
    assert next(messages) == ("result", 2)


def test_a_work_can_be_ended_while_it_works():
    work = Work(sleep)
    assert next(work.messages()) == ("asleep",)
    begun = time.monotonic()
    work.end()
    assert time.monotonic() - begun < 30
