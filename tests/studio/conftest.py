"""A studio's server in a thread, around a stand-in for its session; and a whole studio with somebody at its page."""

import json
import os
import re
import select
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from socket import create_connection
from types import SimpleNamespace
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image
from websockets.sync.client import connect

from brainloop.bench import browser
from brainloop.calibration import Calibrated, save_calibrated
from brainloop.errors import StudyError
from brainloop.observers.keys import ReactionModel
from brainloop.observers.presser import Presser
from brainloop.studio.activity import Activity
from brainloop.studio.page import PageScreen
from brainloop.studio.server import listen, make_server
from brainloop.studio.session import Session

TOKEN = "the-key-of-this-test"


def _asked(*arguments):
    return {"asked": list(arguments)}


class StandIn:
    """What the server needs of a session; remembers what it was told."""

    def __init__(self, folder: Path) -> None:
        self.stage = SimpleNamespace(screen=PageScreen())
        self.images: dict[int, tuple[Path, str]] = {}
        self.out = folder / "exports"
        self.told: list[tuple] = []
        self.activity = Activity()
        self.drawn = None
        results = SimpleNamespace(gallery=_asked, findings=_asked, piles=_asked)
        self.opened = SimpleNamespace(
            image_file=lambda number: self.images.get(number), results=results, exports=self.exports,
            choices=lambda: [{"name": "labels"}],
        )  # fmt: skip

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)

        def tell(*arguments):
            self.told.append((name, *arguments))
            self.activity.touch()

        return tell

    def state(self):
        return {"activity": "idle", "version": self.activity.wait_change(-1, 0)}

    def traces(self):
        return self.drawn

    def must_be_open(self):
        return self.opened

    def forget_person(self, name):
        return [(f"sessions of {name}", 2)]

    def list_headsets(self):
        return [{"id": "one"}]

    def open_study(self, folder):
        raise StudyError(f"there is no study at {folder}")

    def start_watching(self):
        raise RuntimeError("a fault of our own")

    def disconnect_headset(self):
        raise OSError(28, "No space left on device")

    def results(self):
        return {"auc": []}

    def people(self):
        return [{"name": "ada", "looks": 3}]

    def export(self, what, force=False):
        self.out.mkdir(exist_ok=True)
        for name in what:
            (self.out / name).write_text(f"<h1>{name}</h1>")
        return self.exports()

    def exports(self):
        return [(path, path.stem) for path in sorted(self.out.iterdir())] if self.out.is_dir() else []


class Answer:
    """A response, read."""

    def __init__(self, response) -> None:
        self.status, self.body = response.status, response.read()
        self.headers = {name.lower(): value for name, value in response.getheaders()}

    def json(self):
        return json.loads(self.body)


class Served:
    """A server that runs, and ways to ask it: exactly what is written here is sent."""

    def __init__(self, session, port: int) -> None:
        self.session, self.port = session, port
        self.host = f"127.0.0.1:{port}"
        self.origin = f"http://{self.host}"
        self.cookie = f"brainloop-{port}={TOKEN}"

    def ask(self, target, method="GET", body=None, **headers) -> Answer:
        """Send a request; a header that is None is left out, as are cookie and origin if they are."""
        sent = {"host": self.host, "cookie": self.cookie}
        if method != "GET":
            sent["origin"] = self.origin
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                if value is not None:
                    connection.putheader(name, value)
            if body is not None and "transfer-encoding" not in sent:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders()
            if body is not None:
                connection.send(body)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def post(self, name, values=None, **headers) -> Answer:
        """Send a command."""
        return self.ask(f"/api/{name}", "POST", json.dumps(values or {}).encode(), **headers)

    def socket(self, name, *, origin="own", cookie="own", host=None):
        """Open a socket."""
        headers = {"cookie": self.cookie if cookie == "own" else cookie} if cookie else {}
        return connect(
            f"ws://{host or self.host}/ws/{name}", sock=create_connection(("127.0.0.1", self.port)), proxy=None,
            additional_headers=headers, origin=self.origin if origin == "own" else origin,
        )  # fmt: skip


@contextmanager
def serving(session):
    """Serve a session."""
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        server = make_server(session, TOKEN, "127.0.0.1", port)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        yield Served(session, port)
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server for a module's tests."""
    with serving(StandIn(tmp_path_factory.mktemp("study"))) as served:
        yield served


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A server of a session that is none of ours but the studio's own, in an empty home folder."""
    session = Session(tmp_path_factory.mktemp("home"))
    with serving(session) as served:
        yield served
    session.close()


@pytest.fixture
def photograph(tmp_path):
    """A JPEG of 3000 x 2000 pixels that carries a comment."""
    path = tmp_path / "photograph.jpg"
    Image.linear_gradient("L").resize((3000, 2000)).convert("RGB").save(path, comment=b"secret comment")
    return path


def eventually(condition, timeout=90):
    """Wait until something is so."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.01)


@pytest.fixture(name="eventually", scope="session")
def _eventually():
    return eventually


# A studio, a wearer and a browser as processes of their own: what a person has before them.

LAB = Path(__file__).with_name("lab.py")
PAGES = ("Study", "Headset", "Calibrate", "Watch", "Results", "Export")
TARGETS = "sunset"
WEARER = ("--seed", "1", "--p300", "60", "--misses", "0")


class Visitor:
    """Somebody at the studio's page: clicks, keys, and eyes that miss nothing that goes wrong.

    `faults` is whatever the browser complains of, and whatever it asks of anybody but the studio; `barriers` is what
    stands in the way of somebody with a keyboard, a screen reader or weak eyes, wherever a picture was taken.
    """

    def __init__(self, page, studio, pictures: Path) -> None:
        self.page, self.studio, self.pictures = page, studio, pictures
        self.faults, self.barriers = [], []
        page.on("console", lambda said: said.type in ("error", "warning") and self.faults.append(said.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))
        page.on("websocket", lambda socket: self._asked(socket.url))
        page.goto(studio.link)
        page.get_by_role("main").wait_for()

    def _asked(self, url):
        host = self.studio.base.removeprefix("http://")
        if not url.startswith((f"http://{host}/", f"ws://{host}/", f"blob:http://{host}/", "data:")):
            self.faults.append(f"asked for {url}")

    def post(self, command, **values):
        """Give a command past the page."""
        headers = {"origin": self.studio.base}
        answer = self.page.request.post(f"{self.studio.base}/api/{command}", data=values, headers=headers)
        assert answer.ok, answer.text()
        return answer.json()

    def state(self):
        return self.page.request.get(f"{self.studio.base}/api/state").json()

    def until(self, condition, timeout=90):
        """Wait until the state is as wanted, and give it."""
        deadline = time.monotonic() + timeout
        while not condition(state := self.state()):
            assert time.monotonic() < deadline, {key: state[key] for key in ("activity", "progress", "watch", "notice")}
            self.page.wait_for_timeout(100)
        return state

    def turn_to(self, name):
        """Switch pages by a number key."""
        self.page.keyboard.press(str(1 + PAGES.index(name)))
        self.page.get_by_role("main", name=name).wait_for()

    def click(self, name, role="button"):
        self.page.get_by_role(role, name=name, exact=isinstance(name, str)).click()

    def sees(self, text):
        """Wait until a text can be read."""
        self.page.get_by_text(text).first.wait_for()

    def wear(self, source):
        """Find a headset and connect it, on its page."""
        self.turn_to("Headset")
        self.click("Look for headsets")
        self.click(re.compile(source))
        self.page.get_by_role("img", name="Traces of all channels").wait_for()

    def sit_down(self, study, person, source):
        """Go on with a study, as somebody who has calibrated; in front of the page to watch on."""
        self.click(re.compile(f"^{study}"))
        self.page.get_by_role("heading", name=study).wait_for()
        self.until(lambda state: state["activity"] == "idle" and state["progress"] is None)
        if self.state()["person"] is None:
            self.turn_to("Calibrate")
            self.click(re.compile(f"^{person}"))
        self.wear(source)
        self.turn_to("Watch")

    def begin(self):
        """Answer the screen that waits for the space bar."""
        self.page.get_by_text("ress space").wait_for()
        self.page.keyboard.press("Space")
        self.page.get_by_text("ress space").wait_for(state="detached")

    def leave_screen(self):
        """Pause by Esc, and leave by Esc."""
        screen = self.page.get_by_role("dialog", name="Presentation")
        self.page.keyboard.press("Escape")
        screen.get_by_text("Paused").first.wait_for()
        self.page.keyboard.press("Escape")
        screen.wait_for(state="detached")

    def picture(self, name):
        """Take a picture of the window, and look for barriers."""
        self.page.screenshot(path=self.pictures / f"{name}.png", animations="disabled")
        self.barriers += [f"{name}: {barrier}" for barrier in (*self._unnamed(), *self.page.evaluate(CONTRAST))]

    def _unnamed(self):
        """Ask the browser for the names that a screen reader would say, and for what the tab key reaches."""
        devtools = self.page.context.new_cdp_session(self.page)
        for node in devtools.send("Accessibility.getFullAXTree")["nodes"]:
            role = node.get("role", {}).get("value")
            if node["ignored"] or role not in CONTROLS:
                continue
            name = node.get("name", {}).get("value", "").strip()
            has = {one["name"]: one["value"].get("value") for one in node.get("properties", [])}
            if not name:
                yield f"a {role} has no name"
            if not has.get("focusable") and not has.get("disabled"):
                yield f"the {role} {name!r} cannot be reached by keyboard"
        devtools.detach()


CONTROLS = ("button", "link", "textbox", "checkbox", "radio", "combobox", "listbox", "slider", "tab", "menuitem")

CONTRAST = """() => {
  // Text against what lies behind it, by WCAG 2.2: 4.5 to 1, and 3 to 1 for large text; disabled controls are exempt.
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[3] * top[i] + (1 - top[3]) * under[i]).concat(1);
  const light = (colour) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.slice(0, 3).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const words = texts.currentNode.data.trim();
    const element = texts.currentNode.parentElement;
    if (!words || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (element.closest(":disabled, [aria-disabled=true], label:has(:disabled), script, style, noscript")) continue;
    let style = getComputedStyle(element);
    let ink = rgba(element.closest("svg") ? style.fill : style.color);
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      layers.push(rgba(getComputedStyle(at).backgroundColor));
      ink[3] *= Number(getComputedStyle(at).opacity);
    }
    const paper = layers.reduceRight((under, layer) => over(layer, under), [255, 255, 255, 1]);
    const [a, b] = [light(over(ink, paper)), light(paper)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) found.add(`contrast of "${words.slice(0, 40)}" is ${ratio.toFixed(2)}`);
  }
  return [...found];
}"""


PAINTED = """() => {
  const images = [...document.querySelectorAll(".tile:not([hidden]) img[src]")];
  return images.length > 8 && images.every((image) => image.complete && image.naturalWidth > 0);
}"""


class Room:
    """A room with a Lab Streaming Layer of its own: studios and wearers of other rooms are not heard."""

    def __init__(self, folder: Path, pictures: Path) -> None:
        config = folder / "lsl_api.cfg"
        config.write_text(f"[multicast]\nResolveScope = machine\n[lab]\nSessionID = {uuid4().hex}\n[log]\nlevel = -2\n")
        self._environment, self._pictures = {"LSLAPICFG": str(config)}, pictures

    @contextmanager
    def visit(self, home, *arguments, beside=None):
        """A studio of a folder, and somebody at its page; in the browser of another visitor, if `beside` is one."""
        with browser.studio_process(home, *arguments, environment=self._environment) as studio:
            if beside is None:
                with browser.open_browser(studio) as page:
                    yield Visitor(page.page, studio, self._pictures)
            else:
                page = beside.page.context.browser.new_page(viewport=beside.page.viewport_size)
                yield Visitor(page, studio, self._pictures)
                page.close()

    def wearer(self, source, *arguments):
        """A simulated wearer who looks at the page, clearly unless told otherwise."""
        arguments = arguments or WEARER
        return browser.wearer_process(TARGETS, source, "--name", source, *arguments, environment=self._environment)

    @contextmanager
    def lab(self, *arguments):
        """A program of `lab.py`, whose stdin and stdout are text."""
        process = subprocess.Popen(
            [sys.executable, str(LAB), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            env={**os.environ, **self._environment},
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()


class Finger:
    """Somebody who presses the space bar as `Presser` does, at the images that a marker stream says are shown."""

    def __init__(self, visitor, markers, block_size, soa) -> None:
        self._visitor, self._markers = visitor, markers
        self._attentive, self._restless = Presser(3, false_per_minute=0), Presser(3)
        self._block_size, self._soa = block_size, soa
        self._block = None
        self._shown: list[tuple[float, bool]] = []
        self._due: list[float] = []
        self._until = 0.0
        self.presentations = 0

    def press_until(self, condition):
        """Look and press until something is so."""
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline, f"{self.presentations} images were seen"
            self.press()

    def press(self):
        """Look for a moment, and press if it is time."""
        self._look()
        self._until = time.monotonic()  # the clock of LSL
        while self._due and self._due[0] <= self._until:
            self._due.pop(0)
            self._visitor.page.keyboard.press("Space")

    def _look(self):
        while select.select([self._markers.stdout], [], [], 0.005)[0]:
            marker = json.loads(self._markers.stdout.readline())
            if marker["event"] != "presentation":
                continue
            self.presentations += 1
            if marker["flaw"] == "missed":
                continue
            if marker["block"] != self._block:
                self._block, self._shown = marker["block"], []
                ahead = marker["t"] + self._soa * np.arange(self._block_size)
                self._due = self._restless.press(ahead, np.zeros(self._block_size, bool), self._block).tolist()
            self._shown.append((marker["t"], _shows(marker["image"], marker["looked_for"])))
            if self._shown[-1][1]:
                # What was decided at earlier targets stays the same; the newest adds a press, or none.
                decided = self._attentive.press(*map(np.array, zip(*self._shown, strict=True)), self._block)
                self._due = sorted({*self._due, *decided[decided > self._until].tolist()})


def _shows(image, looked_for):
    """Say whether an image of a class folder is what is looked for; "not day" is whatever lies in another."""
    folder, name = image.split("/")[0], looked_for.removeprefix("not ")
    return (folder == name) is (looked_for == name)


@pytest.fixture(scope="session")
def finger_of():
    """Somebody's finger: called with a visitor, the markers, the size of blocks and the SOA."""
    return Finger


@pytest.fixture(scope="session")
def calibrate_key():
    """Give a person of a study the calibration of a key that they will press as `Presser` does."""

    def calibrate(folder, person):
        keys = ReactionModel(0.45, 0.1, 0.9, 2 / 60, 60, 440)
        facts = {
            "person": person, "session": "s", "mode": "keyboard", "presentations": 500, "targets": 60, "seconds": 100.0,
            "rejected": {}, "auc": 0.95, "low": 0.92, "high": 0.98, "keys": keys.to_dict() | {"presses": 60},
        }  # fmt: skip
        save_calibrated(Calibrated(facts, keys=keys), folder / "people" / person)

    return calibrate


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Where pictures of the pages go."""
    folder = Path(os.environ.get("BRAINLOOP_PICTURES") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def rooms(pictures, tmp_path_factory):
    """Open a room."""
    if not any(Path(path).exists() for path in browser.CHROMIUM):
        pytest.skip("no Chromium: apt-get install chromium")
    return lambda: Room(tmp_path_factory.mktemp("room"), pictures)


SKIES = {"sunset": ((40, 30, 90), (250, 130, 60)), "day": ((60, 120, 210), (190, 215, 240)),
         "night": ((4, 6, 20), (24, 30, 66))}  # fmt: skip


def paint(rng, label):
    """Paint a landscape, 320 x 240: a sky of its own, a sun or moon, three rows of hills."""
    y, x = np.mgrid[:240, :320]
    top, low = SKIES[label]
    height = rng.uniform(0.55, 0.7)
    shade = np.clip(y / (240 * height), 0, 1)[..., None]
    pixels = (1 - shade) * top + shade * low
    sun = np.hypot(x - rng.uniform(40, 280), y - 240 * height * (0.9 if label == TARGETS else 0.25))
    pixels[sun < rng.uniform(16, 28)] = (255, 225, 150)
    for hill in range(3):
        wave = np.sin(x / rng.uniform(25, 70) + rng.uniform(0, 6)) * rng.uniform(4, 14)
        green = np.array((rng.uniform(20, 70), rng.uniform(70, 130), 50)) * (1 if label == "day" else 0.35)
        pixels[y > 240 * height + 28 * hill + wave] = green
    pixels += rng.normal(0, 6, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """300 painted landscapes, 45 of them in the class folder `sunset`, the others in `day`."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for number in range(300):
        label = TARGETS if number % 20 < 3 else "day"
        (folder / label).mkdir(exist_ok=True)
        paint(rng, label).save(folder / label / f"{number:03d}.jpg")
    return folder


@pytest.fixture(scope="session")
def skies(tmp_path_factory):
    """40 painted landscapes of each of three classes: `day`, `night`, `sunset`."""
    folder = tmp_path_factory.mktemp("skies")
    rng = np.random.default_rng(1)
    for label in sorted(SKIES):
        (folder / label).mkdir()
        for number in range(40):
            paint(rng, label).save(folder / label / f"{number:03d}.jpg")
    return folder


@dataclass(frozen=True)
class Calibration:
    """What came of the first half of a first session."""

    home: Path
    state: dict
    faults: list[str]
    barriers: list[str]
    quality: list[str]
    told: str


@pytest.fixture(scope="session")
def calibration(rooms, photos, tmp_path_factory):
    """A person who comes for the first time makes a study, puts on the headset and calibrates; by clicks and keys."""
    home, source, room = tmp_path_factory.mktemp("studies"), "cap", rooms()

    def shorten(route):
        # What a person fills in, with blocks and rests short enough for a test.
        short = {"block_size": 80, "looks_per_round": 50, "max_looks": 100, "pause": 0.5}
        route.continue_(post_data=json.dumps(json.loads(route.request.post_data) | short))

    with room.visit(home) as visitor, room.wearer(source):
        page = visitor.page
        page.route("**/api/study/create", shorten)
        visitor.picture("new-study")
        page.get_by_role("textbox", name="Folder of images").fill(str(photos))
        page.get_by_role("combobox", name="What to look for").fill(TARGETS)
        page.get_by_role("textbox", name=re.compile("^Name")).fill("first")
        page.get_by_role("combobox", name="Pace").select_option("0.15")
        visitor.click("Create study")
        page.get_by_role("heading", name="first").wait_for()
        visitor.until(lambda state: state["progress"] is None)
        eventually(lambda: page.evaluate(PAINTED))
        visitor.picture("study")

        visitor.wear(source)
        visitor.until(lambda state: state["headset"] and len(state["headset"]["quality"]) == 8)
        page.get_by_label("Quality of each channel").get_by_role("listitem").nth(7).wait_for()
        quality = page.get_by_label("Quality of each channel").get_by_role("listitem").all_inner_texts()
        drawn = "document.querySelector('[aria-label=\"Traces of all channels\"] canvas').toDataURL()"
        first = page.evaluate(drawn)
        eventually(lambda: page.evaluate(drawn) != first)
        page.wait_for_timeout(4000)  # for the picture: traces from edge to edge
        visitor.picture("headset")

        visitor.turn_to("Calibrate")
        page.get_by_role("textbox", name="Name or code").fill("ada")
        page.get_by_role("checkbox", name=re.compile("agree")).check()
        agree = page.get_by_role("button", name="Agree and sit down")
        assert agree.is_disabled(), "nobody is recorded who has not said that no photosensitive epilepsy is known"
        page.get_by_role("checkbox", name=re.compile("epilepsy")).check()
        visitor.picture("consent")
        agree.click()
        page.get_by_role("button", name="Start calibration").wait_for()
        visitor.picture("calibrate")
        visitor.click("Start calibration")
        visitor.begin()
        (events,) = (home / "first" / "people" / "ada").glob("*/events.jsonl")
        recording = lambda: events.read_text().count('"presentation"')  # noqa: E731
        eventually(lambda: recording() > 5)
        visitor.picture("looking")
        eventually(lambda: recording() >= 240)
        visitor.leave_screen()
        visitor.click("Stop")
        state = visitor.until(lambda state: state["activity"] == "idle" and state["calibration"])
        page.get_by_role("heading", name="Can your targets be told apart?").wait_for()
        page.get_by_role("img", name=re.compile("^Mean response at .* targets")).locator("svg").first.wait_for()
        told = page.get_by_role("main").inner_text()
        visitor.picture("calibrated")
        return Calibration(home, state, visitor.faults, visitor.barriers, quality, told)
