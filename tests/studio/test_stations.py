"""Two studios, two pages, one PostgreSQL: what two people see who share a study, and what they lose: nothing."""

import json
import re
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from brainloop.cli import app
from brainloop.eeg.recorder import read_session
from brainloop.errors import StudyError
from brainloop.people import consent
from brainloop.presentation.block import Block, Response
from brainloop.report.html import render
from brainloop.report.people import people_findings
from brainloop.store import Round
from brainloop.studio.opened import Opened
from brainloop.studio.page import PageScreen
from brainloop.study import Study

LOOKS = 240
PEOPLE = {"left": "ada", "right": "bob"}
HOW = {"target": "sunset", "observer": "live", "soa": 0.1, "block_size": 20, "looks_per_round": 40, "pause": 0.5,
       "confidence_threshold": 0.9999}  # fmt: skip


def seat(study, person, calibrate_key):
    """Let somebody consent, and know how they press the key."""
    consent(study, person, consent=True, no_epilepsy=True)
    calibrate_key(study.folder, person)
    study.store.close()


@dataclass(frozen=True)
class Shared:
    """What came of a day of two people."""

    folders: dict[str, Path]
    others: dict[str, list]
    saw: dict[str, list[str]]
    table: dict[str, list[str]]
    faults: list[str]
    barriers: list[str]


class Seat:
    """Somebody before the page of one station, with a finger on the key."""

    def __init__(self, name, visitor, markers, finger_of):
        self.name, self.visitor = name, visitor
        self.finger = finger_of(visitor, markers, HOW["block_size"], HOW["soa"])

    def begin(self):
        self.visitor.until(lambda state: state["study"] and state["study"]["embedded"] and not state["progress"])
        self.visitor.post("mode", mode="keyboard")
        self.visitor.turn_to("Watch")
        self.visitor.click(re.compile("^(Start|Go on)$"))
        self.visitor.begin()

    @property
    def others(self):
        return self.visitor.state()["station"]["others"]


def look_until(seats, condition, timeout=120):
    """Let all of them look and press until something is so, which is asked for twice a second."""
    deadline, asked = time.monotonic() + timeout, 0.0
    while True:
        for one in seats:
            one.finger.press()
        if time.monotonic() - asked > 0.5:
            if condition():
                return
            asked = time.monotonic()
        assert time.monotonic() < deadline, [one.visitor.state()["watch"] for one in seats]


@pytest.fixture(scope="module")
def shared(rooms, photos, postgres, finger_of, calibrate_key, tmp_path_factory):
    """Two people look; one studio is killed and comes back, and the database is away for a while."""
    home, url = tmp_path_factory.mktemp("stations"), postgres.create("two_studios")
    folders = {name: home / name / "sunsets" for name in PEOPLE}
    made = Study.create(folders["left"], images=str(photos), store=url, max_looks=LOOKS, **HOW)
    seat(made, "ada", calibrate_key)
    seat(Study.join(folders["right"], url), "bob", calibrate_key)
    room = {name: rooms() for name in PEOPLE}
    saw = {name: [] for name in PEOPLE}
    faults, barriers = [], []

    def visit(stack, name, beside=None):
        arguments = (str(folders[name]), "--station", name)
        visitor = stack.enter_context(room[name].visit(folders[name].parent, *arguments, beside=beside))
        markers = stack.enter_context(room[name].lab("markers"))
        one = Seat(name, visitor, markers, finger_of)
        one.begin()
        assert markers.stdout.readline() == "listening\n"
        return one

    def sees(one, text):
        one.visitor.sees(text)
        saw[one.name].append(text)

    with ExitStack() as stack:
        left = visit(stack, "left")
        with ExitStack() as first:
            right = visit(first, "right", left.visitor)
            look_until([left, right], lambda: all(one.finger.presentations >= 50 for one in (left, right)))
            others = {one.name: one.others for one in (left, right)}
            right.visitor.studio.process.kill()
            right.visitor.studio.process.wait()
        look_until([left], lambda: left.others[0]["looks"] > 0)
        right = visit(stack, "right", left.visitor)
        look_until([left, right], lambda: right.finger.presentations >= 5)

        postgres.stop()
        try:
            for one in (left, right):
                one.visitor.until(lambda state: state["station"]["lost"])
                sees(one, re.compile("cannot be reached"))
        finally:
            postgres.start()
        look_until([left, right], lambda: all(one.visitor.state()["activity"] == "idle" for one in (left, right)))

        table = {}
        for one in (left, right):
            page = one.visitor.page
            page.get_by_role("dialog", name="Presentation").wait_for(state="detached")
            table[one.name] = page.get_by_role("region", name="Stations").get_by_role("row").all_inner_texts()
            one.visitor.picture(f"stations-{one.name}")
        left.visitor.turn_to("Results")
        people = left.visitor.page.get_by_role("region", name="People", exact=True)
        people.wait_for(timeout=60_000)
        people.get_by_role("img", name=re.compile("^Weight of people")).locator("svg").first.wait_for()
        people.scroll_into_view_if_needed()
        left.visitor.picture("people")
        table["people"] = people.get_by_role("row").all_inner_texts()
        for one in (left, right):
            faults += one.visitor.faults
            barriers += one.visitor.barriers
    said = {name: [text.pattern for text in texts] for name, texts in saw.items()}
    return Shared(folders, others, said, table, faults, barriers)


@pytest.fixture
def study(shared):
    study = Study.open(shared.folders["left"])
    yield study
    study.store.close()


def sessions(shared, name):
    """Read the raw recordings of a station, in their order."""
    return [read_session(path.parent) for path in sorted(shared.folders[name].glob("people/*/*/meta.json"))]


def events(session, kind):
    return [event for event in session.events if event["event"] == kind]


def test_each_page_shows_the_other_station_and_who_sits_there(shared):
    for name, other in (("left", "right"), ("right", "left")):
        (there,) = shared.others[name]
        assert (there["name"], there["person"], there["alive"]) == (other, PEOPLE[other], True)
        assert there["looks"] > 0
        assert any(row.startswith(other) and PEOPLE[other] in row for row in shared.table[name])


def test_both_people_look_until_all_looks_of_the_study_are_answered(study):
    looks = study.store.looks()
    assert LOOKS <= looks.image.size < LOOKS + 2 * HOW["looks_per_round"]
    assert {*zip(looks.person, looks.station, strict=True)} == {("ada", "left"), ("bob", "right")}
    assert [one.looks for one in study.store.rounds()][-1] >= LOOKS


def test_no_look_is_lost_or_counted_twice_through_a_kill_and_an_absent_database(shared, study):
    looks = study.store.looks()
    assert len({*zip(looks.block.tolist(), looks.position.tolist(), strict=True)}) == looks.image.size
    assert len({*looks.source}) == looks.image.size
    for name in PEOPLE:
        for session in sessions(shared, name):
            recorded = Counter(event["evidence"] for event in events(session, "response"))
            stored = Counter(
                evidence
                for evidence, of in zip(looks.evidence.tolist(), looks.session, strict=True)
                if of == session.about["session"]
            )
            assert recorded <= stored
            # A kill comes between the store and the recording's next line.
            assert (stored - recorded).total() <= 1


def test_nobody_is_shown_what_another_is_looking_at(shared):
    shown = {name: {} for name in PEOPLE}
    for name in PEOPLE:
        for session in sessions(shared, name):
            for event in events(session, "presentation"):
                # On one machine all recordings have one clock.
                shown[name].setdefault(event["block"], []).append((event["t"], event["image"]))
    at_once = 0
    for ours in shown["left"].values():
        for theirs in shown["right"].values():
            if ours[0][0] < theirs[-1][0] and theirs[0][0] < ours[-1][0]:
                at_once += 1
                assert not {image for _, image in ours} & {image for _, image in theirs}
    assert at_once > 0


def test_a_store_that_is_away_is_said_on_both_pages_and_they_go_on_by_themselves(shared):
    assert shared.saw == {name: ["cannot be reached"] for name in PEOPLE}


def test_the_people_are_shown_beside_each_other_on_the_page_and_in_the_report(shared, study):
    rows = {row.split()[0]: row for row in shared.table["people"]}
    for one in people_findings(study):
        assert str(one.looks) in rows[one.name]
        assert f"{one.weight:.2f}" in rows[one.name]
    section = render(study).partition('id="people"')[2]
    assert '<th scope="row">ada</th>' in section
    assert "<td>right</td>" in section


def test_the_browser_complains_of_nothing_and_everything_can_be_reached_and_read(shared):
    # The studio that was killed is missed by its page, as it should be.
    assert shared.faults == []
    assert shared.barriers == []


def test_whoever_stops_while_the_store_is_away_is_told_what_that_means_and_goes_on_later(
    rooms, photos, postgres, new_database, calibrate_key, tmp_path
):
    folder = tmp_path / "home" / "sunsets"
    made = Study.create(folder, images=str(photos), store=new_database(), max_looks=40, **HOW)
    seat(made, "ada", calibrate_key)
    with rooms().visit(folder.parent, str(folder), "--station", "left") as visitor:
        visitor.until(lambda state: state["study"] and state["study"]["embedded"] and not state["progress"])
        visitor.post("mode", mode="keyboard")
        visitor.turn_to("Watch")
        visitor.click("Start")
        visitor.begin()
        visitor.until(lambda state: state["watch"] and state["watch"]["looks"] >= 5)
        postgres.stop()
        try:
            visitor.until(lambda state: state["station"]["lost"])
            visitor.leave_screen()
            visitor.sees("cannot be reached")
            visitor.picture("store-away")
            visitor.click("Stop")
            visitor.sees("You left while the store could not be reached")
            visitor.until(lambda state: state["activity"] == "idle")
        finally:
            postgres.start()
        visitor.until(lambda state: state["station"]["lost"] is None)
        visitor.click("Go on")
        visitor.begin()
        visitor.until(lambda state: state["activity"] == "idle" and state["study"]["looks"] == 40)
        assert visitor.faults == []
        assert visitor.barriers == []
    study = Study.open(folder)
    looks = study.store.looks()
    study.store.close()
    assert len({*zip(looks.block.tolist(), looks.position.tolist(), strict=True)}) == looks.image.size == 40


# Without a page


@pytest.fixture
def plain(photographs, new_database, tmp_path):
    """A small study in a database."""
    study = Study.create(tmp_path / "study", images=photographs, target="rose", observer="live", store=new_database())
    yield study
    study.store.close()


def test_the_others_are_known_by_what_the_store_says_of_them(plain, eventually):
    images = plain.store.images()
    opened = Opened(Study.open(plain.folder), "left")
    try:
        state = opened.stations.state
        eventually(lambda: state()["lost"] is None)
        plain.store.enter("right", "bob", clock=time.time() + 90)
        plain.store.plan([Block(1, 1, tuple(image.id for image in images[:3] if image.part == "pool"), 0.2)], "right")
        plain.store.answer(1, 0, Response(0.1, 0.2, None, 0.0, "bob/1#0", "bob", "1"), "right")
        eventually(lambda: [one["looks"] for one in state()["others"]] == [1])
        (right,) = state()["others"]
        assert (right["name"], right["person"], right["alive"], right["seen"]) == ("right", "bob", True, 0.0)
        assert right["clock_offset"] == pytest.approx(90, abs=5)
        json.dumps(state(), allow_nan=False)
        plain.store.leave("right")
        eventually(lambda: not state()["others"][0]["alive"])
    finally:
        opened.close()


def test_a_round_that_another_station_ends_is_read_again(plain, eventually):
    opened = Opened(Study.open(plain.folder), "left")
    try:
        eventually(lambda: opened.stations.state()["others"] == [] and opened.known.rounds == [])
        time.sleep(2.5)  # it has asked once
        plain.store.enter("right", "bob")
        pool = [image.id for image in plain.store.images() if image.part == "pool"]
        plain.store.plan([Block(1, 1, tuple(pool[:2]), 0.2)], "right")
        for k in range(2):
            plain.store.answer(1, k, Response(0.1, 0.2, None, 0.0, f"bob/1#{k}", "bob", "1"), "right")
        plain.store.begin_round()
        assert opened.known.looks == 0
        plain.store.close_round(Round(1, 2, 0, 2, 1.0, 1.0, 0.5, None, None, None, False))
        eventually(lambda: opened.known.looks == 2 and len(opened.known.rounds) == 1)
    finally:
        opened.close()


def test_a_store_that_goes_away_and_comes_back_is_told_of(plain, postgres, eventually):
    news = []
    opened = Opened(Study.open(plain.folder), "left", lambda: news.append(opened.stations.lost))
    try:
        postgres.stop()
        eventually(lambda: opened.stations.lost)
        assert "nothing is lost" in opened.stations.lost
        assert "password" not in opened.stations.lost
        opened.refresh()  # asked for by a page: what was known stays
        assert opened.known.images
        postgres.start()
        eventually(lambda: opened.stations.lost is None)
        eventually(lambda: news[-1] is None)
        assert any(news)
    finally:
        if postgres._process is None:
            postgres.start()
        opened.close()


def test_a_station_of_a_study_in_a_file_is_refused(photographs, tmp_path):
    study = Study.create(tmp_path / "study", images=photographs, target="rose", observer="live")
    assert Opened(study).station == "local"
    assert Opened(study).stations is None
    with pytest.raises(StudyError, match="a file for one; leave out the station 'left'"):
        Opened(study, "left")
    study.store.close()


def test_a_warning_is_told_to_the_page_that_is_there_and_to_one_that_comes_until_it_is_over():
    told, screen = [], PageScreen()
    screen.warn("The store is away")
    screen.attach(lambda text: told.append(json.loads(text)), {"type": "hello", "refresh_hz": 60.0})
    screen.warn("The store is away")
    screen.warn(None)
    assert told == [{"type": "warning", "text": "The store is away"}, {"type": "warning", "text": None}]


def test_help_names_the_station():
    shown = CliRunner().invoke(app, ["studio", "--help"], terminal_width=200)
    assert "--station" in shown.output
