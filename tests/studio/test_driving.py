"""A drive on the studio's page: its server, then the page in Chromium."""

import json
import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus

from brainloop.driving.agent import SCRIPTED, Agent
from brainloop.driving.drive import Drive, hazard_onsets
from brainloop.driving.recorded import read_drive
from brainloop.driving.road import N_OBSERVED
from brainloop.driving.scene import draw
from brainloop.eeg.headset import Chunk, HeadsetInfo
from brainloop.eeg.lsl import local_clock
from brainloop.eeg.mental_state import CAVEATS
from brainloop.eeg.recorder import read_session
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.eeg.wearer import LiveWearer
from brainloop.studio.monitor import Monitor
from brainloop.studio.wearing import CALIBRATION
from brainloop.study import Study

SHORT = {"driver": "careless", "watcher": "key", "seed": 3, "seconds": 1.0, "record": False}
TOKEN = "the-key-of-this-test"


class Looker:
    """A page of a drive: asks, and keeps what it is told."""

    def __init__(self, studio, socket) -> None:
        self._studio, self._socket = studio, socket
        self.instants, self.pictures, self.run, self.summary = [], [], None, None

    def say(self, **message):
        self._socket.send(json.dumps(message))

    def ask(self):
        """Say that one is ready for more, and take it."""
        self.say(type="ready")
        self.take()

    def take(self):
        news = json.loads(self._socket.recv(timeout=10))
        assert news["type"] == "news"
        if news["run"] != self.run:
            self.run, self.instants, self.pictures = news["run"], [], []
        self.instants += news["instants"]
        self.summary = news["summary"]
        self.pictures.append((news["time"], self._socket.recv(timeout=10)))

    def start(self, command="start", **values):
        """Have something begun, and look until it has."""
        if self.run is None:
            self.ask()
        before = self.run
        answer = self._studio.post(f"drive/{command}", values)
        assert answer.status == 200, answer.body
        while self.run == before:
            self.ask()

    def look_until(self, time):
        while not self.instants or self.instants[-1]["time"] < time - 1e-9:
            self.ask()


@pytest.fixture
def looker(studio):
    with studio.socket("drive") as socket:
        yield Looker(studio, socket)


@pytest.fixture
def idle(studio, eventually):
    """Wait until nothing is on; stops what is left on at the end of a test."""

    def wait():
        eventually(lambda: studio.session.activity.name == "idle")

    yield wait
    studio.post("drive/stop")
    wait()


def pixels(jpeg):
    return np.asarray(Image.open(BytesIO(jpeg))).astype(int)


def driven(seconds=1.0, seed=3, driver="careless"):
    return list(Drive(seed, SCRIPTED[driver], None, seconds=seconds))


# The server


def test_the_state_names_who_may_drive_and_watch_and_what_the_gauges_cannot_do(studio):
    state = studio.ask("/api/state").json()["drive"]
    assert state["drivers"][:2] == ["careless", "careful"]
    assert state["watchers"]["synthetic"] is state["watchers"]["key"] is None
    assert "Headset page" in state["watchers"]["headset"]
    assert CAVEATS.items() <= state["caveats"].items()
    assert all(len(caveat) > 40 for caveat in state["caveats"].values())


def test_a_page_sees_the_road_before_anybody_drives(looker):
    looker.ask()
    ((time, jpeg),) = looker.pictures
    assert (time, looker.instants, looker.summary) == (0.0, [], None)
    assert pixels(jpeg).shape == (360, 640, 3)


def test_a_drive_is_told_instant_by_instant_with_pictures_between(studio, looker, idle):
    looker.start(**SHORT)
    looker.look_until(1.0)
    wanted = driven()
    assert [one["time"] for one in looker.instants] == [one.time for one in wanted]
    assert [one["speed"] for one in looker.instants] == [one.scene.speed for one in wanted]
    assert [one["hazard"] for one in looker.instants] == [one.scene.hazard for one in wanted]
    times = [time for time, _ in looker.pictures]
    assert times == sorted(times)
    idle()
    assert looker.summary["seconds"] == pytest.approx(1.0)
    on = studio.ask("/api/state").json()["drive"]["on"]
    assert (on["running"], on["driver"], on["seed"]) == (False, "careless", 3)


def test_the_picture_is_the_one_that_the_reward_model_gets(studio, looker, idle):
    looker.start(**SHORT)
    looker.look_until(1.0)
    seen, drawn = pixels(looker.pictures[-1][1]), draw(driven()[-1].scene, (640, 360)).astype(int)
    assert np.abs(seen - drawn).mean() < 3  # what JPEG costs
    assert np.abs(seen - draw(driven()[-4].scene, (640, 360))).mean() > 3


def test_nothing_waits_for_a_page_that_does_not_ask(studio, looker, idle):
    looker.ask()
    assert studio.post("drive/start", SHORT).status == 200
    idle()
    with pytest.raises(TimeoutError):
        looker._socket.recv(timeout=0)
    looker.ask()
    assert [one["time"] for one in looker.instants] == [one.time for one in driven()]
    assert looker.pictures[-1][0] == 1.0


def test_one_drive_at_a_time_and_it_can_be_stopped(studio, looker, idle):
    looker.start(**SHORT | {"seconds": 600})
    looker.look_until(0.2)
    refused = studio.post("drive/start", SHORT)
    assert (refused.status, refused.json()["kind"]) == (400, "StudyError")
    assert studio.post("drive/replay", {"name": "any"}).status == 400
    studio.post("drive/stop")
    idle()
    assert looker.instants[-1]["time"] < 60


def test_a_press_of_the_space_bar_makes_evidence_and_an_alarm(studio, looker, idle):
    looker.start(**SHORT | {"seconds": 600})
    looker.look_until(0.2)
    now = local_clock()
    looker.say(type="clock", pings=[[1e3 * k, now + k + 5e-4, 1e3 * k + 1] for k in range(10)])
    looker.say(type="press", t=0.5)  # ms of the page's clock: `now`, about
    while not any(one["alarm"] for one in looker.instants):
        looker.ask()
    (pressed,) = [one for one in looker.instants if one["alarm"]]
    assert pressed["alarm"] == "false"  # there is no hazard in these seconds
    assert [evidence > 3 for _, evidence in pressed["heard"]] == [True]


def test_a_recorded_drive_is_replayed_as_it_was(studio, looker, idle):
    looker.start(**SHORT | {"record": True})
    looker.look_until(1.0)
    idle()
    (recorded,) = studio.ask("/api/state").json()["drive"]["recorded"]
    assert (recorded["driver"], recorded["seconds"], recorded["seed"]) == ("careless", 1.0, 3)
    folder = studio.session.home / "drives" / recorded["name"]
    assert [one.scene for one in read_drive(folder).instants] == [one.scene for one in driven()]
    first = looker.instants
    looker.start("replay", name=recorded["name"])
    looker.look_until(1.0)
    assert looker.instants == first


@pytest.mark.parametrize(
    "wrong",
    [
        {"driver": "nobody"}, {"driver": "../careless"}, {"driver": None}, {"watcher": "headset"}, {"watcher": "x"},
        {"seed": -1}, {"seed": 0.5}, {"seed": True}, {"seed": "1"}, {"seconds": 0}, {"seconds": 1e9},
        {"seconds": None},
    ],
)  # fmt: skip
def test_what_cannot_be_driven_is_refused_in_words(studio, wrong):
    answer = studio.post("drive/start", SHORT | wrong)
    assert (answer.status, answer.json()["kind"]) == (400, "SettingsError")
    assert studio.session.activity.name == "idle"


@pytest.mark.parametrize("name", ["none", "..", "../drives", "", None])
def test_only_what_is_listed_is_replayed(studio, name):
    assert studio.post("drive/replay", {"name": name}).status == 400


def test_trained_drivers_of_the_home_folder_are_offered(studio, looker, idle):
    steady = Agent(((np.zeros((N_OBSERVED, 3)), np.array([0.0, 1.0, 0.0])),), {})  # keeps its speed
    steady.save(studio.session.home / "steady.safetensors")
    (studio.session.home / "broken.safetensors").write_bytes(b"no tensors")
    assert b"steady.safetensors" in studio.ask("/drive").body  # opening the page looks again
    assert studio.post("drive/start", SHORT | {"driver": "broken.safetensors"}).status == 400
    looker.start(**SHORT | {"driver": "steady.safetensors"})
    looker.look_until(1.0)
    assert {one["speed"] for one in looker.instants} == {7.0}


class Worn:
    """A synthetic person with a headset, in real time."""

    def __init__(self) -> None:
        self._wearer = LiveWearer(SyntheticWearer(5), start=local_clock())
        person = self._wearer.wearer
        self.info = HeadsetInfo("worn", "worn", person.channels, (), person.sfreq)

    def pull(self):
        begin, n = self._wearer.until, max(0, int((local_clock() - self._wearer.until) * self.info.sfreq))
        times = begin + np.arange(n) / self.info.sfreq
        return Chunk(times, self._wearer.render(n).astype(np.float32), local_clock())

    def close(self):
        pass


@pytest.fixture
def worn(studio, photographs):
    """Somebody who has sat down before the studio with a headset on."""
    session, stage = studio.session, studio.session.stage
    Study.create(
        session.home / "roses", images=str(photographs), target="rose", backbone="builtin", observer="live"
    ).store.close()
    session.open_study("roses")
    session.set_person("ada", True, True)
    stage.monitor = Monitor(studio.session.activity.touch, lambda _name: None)
    stage.monitor.headset = Worn()
    stage.monitor.take_back()
    yield
    session.close_study()
    stage.monitor.close()
    stage.monitor = None


def test_somebody_with_a_headset_is_recorded_with_when_they_saw_what(studio, worn, looker, idle):
    watchers = studio.post("drive/stop").json()["drive"]["watchers"]
    assert watchers["calibration"] is None
    assert "calibrate" in watchers["headset"]
    assert studio.post("drive/start", SHORT | {"watcher": "headset"}).status == 400
    now = local_clock()
    looker.say(type="clock", pings=[[1e3 * k, now + k + 5e-4, 1e3 * k + 1] for k in range(10)])
    looker.start(**SHORT | {"watcher": "calibration", "record": True})
    looker.look_until(1.0)
    for k in range(3):
        looker.say(type="ready", run=looker.run, time=looker.pictures[-1][0], t=1e3 + k)
        looker.take()
    studio.post("drive/stop")
    idle()
    assert "Watch it to its end once more" in studio.session.activity.notice["text"]  # three seconds teach nothing
    (folder,) = (path.parent for path in studio.session.home.glob("drives/*/eeg"))
    facts, session = read_drive(folder).facts, read_session(folder / "eeg")
    assert (facts.driver, facts.watcher) == ("careless", "a person with a headset, who calibrates")
    assert np.isfinite(session.data).all()
    assert len(session.times) > session.info.sfreq
    seen = [event for event in session.events if event["event"] == "picture"]
    assert [event["t"] for event in seen] == pytest.approx([now + 1 + k / 1e3 for k in range(3)])
    assert all(0 < event["drive_time"] <= 480 for event in seen)


@pytest.mark.parametrize("how", [{"cookie": None}, {"origin": "http://evil.example"}, {"origin": None}])
def test_the_socket_is_closed_to_whoever_has_no_key_or_comes_from_elsewhere(studio, how):
    with pytest.raises(InvalidStatus) as refused, studio.socket("drive", **how):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    "message",
    [
        "no JSON",
        "[]",
        json.dumps({"type": "clock", "pings": [1, "a"]}),
        json.dumps({"type": "clock", "pings": [[1, 2, 3]]}),
        json.dumps({"type": "clock"}),
    ],
)
def test_a_page_that_nobody_understands_is_hung_up_on(studio, message):
    with studio.socket("drive") as socket:
        socket.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
    assert closed.value.rcvd.code == 1008


def test_the_link_may_lead_to_the_drive_and_keeps_what_else_it_says(studio):
    answer = studio.ask(f"/drive?seed=4&token={TOKEN}&start=1", cookie=None)
    assert (answer.status, answer.headers["location"]) == (303, "/drive?seed=4&start=1")
    assert answer.headers["set-cookie"].startswith(studio.cookie)
    assert studio.ask(f"/drive?token={TOKEN}x", cookie=None).status == 403


# The page

PAINTED = "() => document.querySelector('.road canvas').toDataURL()"
OVERFLOW = """() => {
  const widths = [document.documentElement, document.getElementById("drive")].map((one) => one.scrollWidth);
  return Math.max(...widths) - innerWidth;
}"""


@pytest.fixture(scope="module")
def visitor(rooms, tmp_path_factory):
    """Somebody at the page of a studio, all tests long; what they find wrong is looked at by the last one."""
    with rooms().visit(tmp_path_factory.mktemp("home")) as visitor:
        yield visitor


def gauge(visitor, name):
    return visitor.page.get_by_role("region", name=name)


def becomes(visitor, condition):
    """Wait until an expression is true; the page's policy lets no text become a function there."""
    for _ in range(600):
        if visitor.page.evaluate(condition):
            return
        visitor.page.wait_for_timeout(50)
    raise AssertionError(condition)


def over(visitor):
    visitor.until(lambda state: state["activity"] == "idle")
    visitor.page.get_by_role("button", name="Start").wait_for()


def test_the_studio_leads_to_the_drive_and_back(visitor):
    visitor.click("Drive", "link")
    visitor.page.get_by_role("heading", name="Drive", exact=True).wait_for()
    becomes(visitor, f"({PAINTED})().length > 20000")
    visitor.picture("drive-before")
    visitor.click("Studio", "link")
    visitor.page.get_by_role("main", name="Study").wait_for()
    visitor.picture("drive-link")


def test_somebody_watches_with_the_space_bar_and_sees_it_again(visitor):
    page = visitor.page
    page.goto(f"{visitor.studio.base}/drive?seed=3&seconds=600")
    page.get_by_label("Who watches").select_option("You, with the space bar")
    page.get_by_role("checkbox", name="Record").check()
    visitor.click("Start")
    becomes(visitor, "document.querySelector('.road canvas').dataset.time > 1")
    before = page.evaluate(PAINTED)
    becomes(visitor, f"({PAINTED})() !== {json.dumps(before)}")
    page.keyboard.press("Space")  # the button that has the focus by now is "Stop"
    gauge(visitor, "Hazard").get_by_text("likely · +3.8 nats").wait_for()
    page.get_by_text("a false alarm").first.wait_for()
    page.get_by_role("button", name="I see a hazard").wait_for()
    for name, caveat in visitor.state()["drive"]["caveats"].items():
        section = gauge(visitor, {"hazard": "Hazard", "attention": "Attention", "valence": "Emotion"}[name])
        assert section.get_by_text(caveat).is_visible()
    assert gauge(visitor, "Attention").get_by_text("not available: no EEG is measured").is_visible()
    assert gauge(visitor, "Emotion").get_by_text("experimental", exact=True).is_visible()
    assert page.get_by_role("img", name=re.compile("^Last 30 seconds")).count() == 1
    visitor.picture("drive-key")
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate(OVERFLOW) == 0
    visitor.picture("drive-narrow")
    page.set_viewport_size({"width": 1280, "height": 720})
    page.keyboard.press("Escape")
    over(visitor)
    visitor.click(re.compile("^Replay"))
    page.get_by_text("Replay · ").wait_for()
    gauge(visitor, "Hazard").get_by_text("likely · +3.8 nats").wait_for()
    visitor.click("Stop")
    over(visitor)


def test_a_synthetic_person_moves_all_three_gauges(visitor):
    page = visitor.page
    page.goto(f"{visitor.studio.base}/drive?seed=3&seconds=600&watcher=synthetic&start=1")
    for name in ("Attention", "Emotion"):
        gauge(visitor, name).get_by_text("SD of your own baseline").wait_for()
        gauge(visitor, name).get_by_role("meter").wait_for()
    gauge(visitor, "Hazard").get_by_text("likely ·").wait_for()
    becomes(visitor, "document.querySelector('.road canvas').dataset.time > 5")
    visitor.picture("drive-synthetic")
    visitor.click("Stop")
    over(visitor)


def test_whoever_asked_for_less_motion_starts_it_themselves(visitor):
    page = visitor.page
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{visitor.studio.base}/drive?start=1&watcher=key&seconds=2")
    page.get_by_role("button", name="Start").wait_for()
    assert visitor.state()["activity"] == "idle"
    page.emulate_media(reduced_motion="no-preference")
    page.goto(f"{visitor.studio.base}/drive?start=1&watcher=key&seconds=2")
    page.get_by_role("button", name="Stop").wait_for()
    assert page.url == f"{visitor.studio.base}/drive"  # loaded again, it does not start again
    over(visitor)


def test_nobody_else_watches_in_place_of_somebody_who_cannot_yet(visitor):
    page = visitor.page
    page.goto(f"{visitor.studio.base}/drive?start=1&watcher=headset&seconds=2")
    page.get_by_text("With a headset: connect one").wait_for()
    becomes(visitor, "location.search === ''")
    page.get_by_role("button", name="Start").wait_for()
    assert visitor.state()["activity"] == "idle"


def test_nothing_went_wrong_and_nothing_stood_in_the_way(visitor):
    assert visitor.faults == []
    assert visitor.barriers == []


def test_the_calibration_drive_has_hazards_enough_for_a_decoder():
    seconds, seed = CALIBRATION
    calibration = Drive(seed, SCRIPTED["careless"], None, seconds=seconds)
    assert 40 <= len(hazard_onsets(list(calibration))) <= 60
