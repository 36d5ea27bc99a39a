import json

import pytest

from brainloop.errors import SettingsError, StoppedError
from brainloop.presentation.block import Block
from brainloop.studio.page import PageScreen

BLOCK = Block(1, 7, (11, 12, 13, 14), 0.2, "cats")
OFFSET = 1000.0  # s, from the page's clock to ours


class Page:
    """The other end of the socket: says what a browser would, and keeps what it was told."""

    def __init__(self, screen, **hello):
        self.screen, self.told = screen, []
        self.there = screen.attach(self.take, {"type": "hello", "refresh_hz": 60.0, **hello})

    def take(self, text):
        self.told.append(json.loads(text))

    def say(self, kind, **values):
        self.screen.receive({"type": kind, **values}, self.take)

    def heard(self, kind):
        return [message for message in self.told if message["type"] == kind]

    def clock(self, block=7):
        pings = [[1000.0 + k, OFFSET + 1.0005 + k / 1e3, 1001.0 + k] for k in range(100)]
        self.say("clock", block=block, pings=pings)

    def shown(self, position, *, late=0.0, block=7):
        planned = 5000.0 + 200 * position
        self.say(
            "shown", block=block, position=position, planned=planned, draw=planned + late, next=planned + late + 17
        )


def begun(**hello):
    screen = PageScreen()
    screen.begin({"cats": (3, 4), "dogs": (5,)})
    page = Page(screen, **hello)
    showing = screen.show(BLOCK)
    showing.poll(0)
    page.say("go")
    page.say("loaded", block=7, failed=[])
    showing.poll(0)
    page.clock()
    return screen, page, showing


def test_a_block_is_preloaded_awaits_the_person_and_is_shown_in_whole_frames():
    screen = PageScreen()
    screen.begin({"cats": (3, 4), "dogs": (5,)})
    page = Page(screen)
    showing = screen.show(BLOCK)
    assert page.heard("preload")[0]["images"] == [11, 12, 13, 14]
    assert "space" in page.heard("wait")[0]["text"]
    page.say("loaded", block=7, failed=[])
    showing.poll(0)
    assert not page.heard("show")
    page.say("go")
    showing.poll(0)
    (show,) = page.heard("show")
    assert (show["block"], show["start"], show["frames"], show["target"]) == (7, 0, 12, "cats")


def test_presentations_come_on_our_clock_and_late_ones_are_flagged():
    _, page, showing = begun()
    for position, late in enumerate([0.0, 8.0, 9.0]):
        page.shown(position, late=late)
    page.say("missed", block=7, position=3, planned=5600.0)
    happened = showing.poll(0)
    assert [one.flaw for one in happened.shown] == [None, None, "late", "missed"]
    assert happened.shown[1].onset == pytest.approx(OFFSET + 5.208)
    assert happened.shown[1].planned == pytest.approx(OFFSET + 5.2)
    assert happened.over


def test_the_latency_of_the_display_is_part_of_every_onset():
    screen, page, showing = begun()
    screen.latency = 0.03
    page.shown(0)
    (one,) = showing.poll(0).shown
    assert one.onset == pytest.approx(OFFSET + 5.03)
    assert one.flaw is None


def test_presses_come_on_our_clock_and_until_tells_how_far_they_are_known():
    _, page, showing = begun()
    page.say("press", t=5100.0)
    page.say("alive", t=5200.0)
    happened = showing.poll(0)
    assert happened.presses == (pytest.approx(OFFSET + 5.1),)
    assert happened.until == pytest.approx(OFFSET + 5.15)


def test_a_pause_waits_for_the_person_and_goes_on_where_it_was():
    _, page, showing = begun()
    page.shown(0)
    page.say("paused", block=7, why="esc", position=1)
    showing.poll(0)
    assert showing.pauses == ["esc"]
    assert "Paused" in page.heard("wait")[-1]["text"]
    assert len(page.heard("show")) == 1
    page.say("go")
    showing.poll(0)
    assert page.heard("show")[-1]["start"] == 1


def test_a_page_that_is_closed_and_opened_again_goes_on_where_it_was():
    screen, page, showing = begun()
    page.shown(0)
    page.shown(1)
    screen.detach(page.take)
    showing.poll(0)
    assert not screen.connected
    again = Page(screen)
    showing.poll(0)
    assert "closed" in again.heard("wait")[-1]["text"]
    again.say("loaded", block=7, failed=[])
    again.say("go")
    showing.poll(0)
    assert again.heard("show")[-1]["start"] == 2


def test_a_second_page_is_refused_unless_it_takes_over_and_the_first_is_heard_no_more():
    screen, page, showing = begun()
    assert not Page(screen).there
    second = Page(screen, take_over=True)
    assert second.there
    assert page.heard("taken")
    page.shown(0)
    assert showing.poll(0).shown == ()


def test_a_stop_reaches_whoever_waits():
    screen, _, showing = begun()
    screen.stop("enough")
    with pytest.raises(StoppedError, match="enough"):
        showing.poll(0)


def test_a_silent_headset_holds_the_block_until_the_person_goes_on():
    screen, page, showing = begun()
    page.shown(0)
    screen.hold("no samples come")
    showing.poll(0)
    assert page.heard("wait")[-1]["text"] == "no samples come"
    page.say("go")
    showing.poll(0)
    assert page.heard("show")[-1]["start"] == 1


def test_a_rest_is_over_by_itself_or_as_soon_as_the_person_goes_on():
    screen, page, showing = begun()
    for position in range(4):
        page.shown(position)
    assert showing.poll(0).over
    screen.pause = 60.0
    screen.rest("well done", 0.5)
    following = screen.show(Block(1, 8, (11, 12), 0.2, "cats"))
    page.say("loaded", block=8, failed=[])
    following.poll(0)
    assert len(page.heard("show")) == 1
    page.say("go")
    following.poll(0)
    assert page.heard("show")[-1]["block"] == 8


def test_what_is_looked_for_is_announced_with_examples_and_a_new_target_can_be_read_before_its_block():
    screen, page, showing = begun()
    announced = page.heard("target")[0]
    assert (announced["target"], announced["images"], announced["is_new"]) == ("cats", [3, 4], True)
    for position in range(4):
        page.shown(position)
    assert showing.poll(0).over
    screen.pause = 0.0
    screen.rest("well done", 0.5)
    same = screen.show(Block(1, 8, (11, 12), 0.2, "cats"))
    assert not page.heard("target")[-1]["is_new"]
    page.say("loaded", block=8, failed=[])
    same.poll(0)
    assert page.heard("show")[-1]["block"] == 8  # nothing new to read: it begins as soon as the rest is over
    other = screen.show(Block(1, 9, (11, 12), 0.2, "dogs"))
    announced = page.heard("target")[-1]
    assert (announced["target"], announced["images"], announced["is_new"]) == ("dogs", [5], True)
    assert announced["seconds"] > 3
    page.say("loaded", block=9, failed=[])
    other.poll(0)
    assert page.heard("show")[-1]["block"] == 8
    page.say("go")  # who has read it needs no more time
    other.poll(0)
    assert page.heard("show")[-1]["block"] == 9


def test_what_a_page_says_of_another_block_is_not_taken_for_this_one():
    _, page, showing = begun()
    page.shown(0, block=6)
    page.shown(2)
    assert showing.poll(0).shown == ()


def test_nonsense_of_a_page_is_an_error_that_says_what_was_expected():
    _, page, showing = begun()
    page.say("shown", block=7, position=0, planned="soon", draw=1.0, next=2.0)
    with pytest.raises(SettingsError, match="expected a number as 'planned'"):
        showing.poll(0)
    with pytest.raises(SettingsError, match="refresh_hz"):
        Page(PageScreen(), refresh_hz=None)
