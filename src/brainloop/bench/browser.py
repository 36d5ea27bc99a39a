"""A studio, a wearer and a browser, each a process of its own, as a person has them."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainloop.errors import BrainloopError, MissingExtraError

__all__ = ["Page", "StudioProcess", "chromium", "open_browser", "studio_process", "wearer_process"]

CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")


@dataclass(frozen=True)
class StudioProcess:
    """A running studio.

    Attributes
    ----------
    process : subprocess.Popen
        It.
    link : str
        With its token.
    began : float
        When it was started, s of `time.monotonic`.
    """

    process: "subprocess.Popen[str]"
    link: str
    began: float

    @property
    def base(self) -> str:
        """Its origin."""
        return self.link.split("/?", 1)[0]


@contextmanager
def studio_process(
    home: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[StudioProcess]:
    """Run ``brainloop studio`` until the end of the ``with`` statement, with `environment` beside ours."""
    began = time.monotonic()
    command = [sys.executable, "-m", "brainloop", "studio", "--no-browser", "--home", str(home), *arguments]
    process = _start(command, environment)
    try:
        yield StudioProcess(process, _link(process), began)
    finally:
        process.terminate()
        process.wait(20)


def _start(command: list[str], environment: Mapping[str, str] | None) -> "subprocess.Popen[str]":
    variables = {**os.environ, **(environment or {})}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables)  # noqa: S603


def _link(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None  # noqa: S101
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return found.group()
    raise BrainloopError(f"the studio ended before it had a link (exit status {process.wait()})")


@contextmanager
def wearer_process(
    target: str, source_id: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """Run ``brainloop headset simulate`` until the end of the ``with`` statement; returns once it publishes."""
    simulate = ["headset", "simulate", "--target", target, "--source-id", source_id]
    command = [sys.executable, "-m", "brainloop", *simulate, *arguments]
    process = _start(command, environment)
    try:
        assert process.stdout is not None  # noqa: S101
        if not process.stdout.readline():
            raise BrainloopError(f"the wearer ended before it published (exit status {process.wait()})")
        yield process
    finally:
        process.terminate()
        process.wait(20)


class Page:
    """A page of the studio in a browser, and its commands.

    Parameters
    ----------
    page : playwright.sync_api.Page
        It.
    studio : StudioProcess
        Whose.
    """

    def __init__(self, page: Any, studio: StudioProcess) -> None:
        self.page, self.studio = page, studio
        page.goto(studio.link)
        page.locator("main").wait_for()
        self.usable_after = time.monotonic() - studio.began

    def post(self, command: str, **values: Any) -> Any:
        """Give a command, as the page's own script does.

        Raises
        ------
        BrainloopError
            If the studio refuses it.
        """
        answer = self.page.request.post(
            f"{self.studio.base}/api/{command}", data=values, headers={"origin": self.studio.base}
        )
        said = answer.json()
        if not answer.ok:
            raise BrainloopError(f"{command}: {said['error']}")
        return said

    def get(self, what: str) -> Any:
        """Read what ``/api/WHAT`` gives."""
        return self.page.request.get(f"{self.studio.base}/api/{what}").json()

    def wait(self, *, activity: str = "idle", timeout: float = 600.0) -> Any:
        """Wait until the studio is at `activity`, and give its state.

        Raises
        ------
        BrainloopError
            If that takes longer than `timeout`, s, or the studio tells of an error.
        """
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            state = self.get("state")
            if state["activity"] == activity:
                return state
            self.page.wait_for_timeout(200)
        raise BrainloopError(f"the studio was not {activity} within {timeout:g} s, but {state['activity']}")

    def look(self) -> None:
        """Open the screen, and begin as soon as it asks for it."""
        self.page.evaluate(
            "import('/static/js/screen.js').then((m) => { m.openScreen({ target: 'it', onclose() {} }); })"
        )
        self.page.get_by_text("Press space to begin").wait_for(timeout=30_000)
        self.page.keyboard.press("Space")

    def monotonic_offset(self) -> float:
        """Give what is added to the page's absolute time to have that of the system's steady clock, s.

        Chromium counts `performance.now` on that clock, and its DevTools tell where it began.
        """
        devtools = self.page.context.new_cdp_session(self.page)
        devtools.send("Performance.enable")
        metrics = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
        return float(metrics["NavigationStart"]) - float(self.page.evaluate("performance.timeOrigin")) / 1e3


@contextmanager
def chromium(*, width: int = 1280, height: int = 720) -> Iterator[Any]:
    """Open an empty page in Chromium, headless.

    Raises
    ------
    MissingExtraError
        If Playwright is not installed.
    BrainloopError
        If there is no Chromium.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MissingExtraError("playwright", "dev", "driving a browser", error) from error
    path = next((path for path in CHROMIUM if Path(path).exists()), None)
    if path is None:
        raise BrainloopError("expected Chromium; install it, on Debian with: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser.new_page(viewport={"width": width, "height": height})
        finally:
            browser.close()


@contextmanager
def open_browser(studio: StudioProcess) -> Iterator[Page]:
    """Open the studio in Chromium; see `chromium`."""
    with chromium() as page:
        yield Page(page, studio)
