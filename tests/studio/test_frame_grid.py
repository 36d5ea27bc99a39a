"""The screen's frames as a line: run where they are drawn, in a browser."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from brainloop.bench import browser

PERIOD = 1000 / 59.94  # ms
FIT = """async ([source, stamps, guess]) => {
  const { FrameGrid, measurePeriod } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
  const grid = new FrameGrid(guess);
  const numbers = stamps.map((stamp) => grid.add(stamp));
  return { numbers, times: numbers.map((n) => grid.time(n)), period: grid.period, measured: measurePeriod(stamps) };
}"""


@pytest.fixture(scope="module")
def fit():
    """Fit a grid to time stamps, in Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = next((path for path in browser.CHROMIUM if Path(path).exists()), None)
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium")
    source = (files("brainloop.studio") / "static/js/frame-grid.js").read_text(encoding="utf-8")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = chromium.new_page()
        yield lambda stamps, guess=PERIOD: page.evaluate(FIT, [source, list(map(float, stamps)), guess])
        chromium.close()


def frames(rng, n, *, jitter=0.2, dropped=0.1, stall=0):
    """Give numbers and time stamps of the frames that a busy page saw."""
    numbers = np.flatnonzero(rng.random(n) >= dropped)
    numbers = numbers[(numbers < n // 2) | (numbers >= n // 2 + stall)]
    numbers -= numbers[0]
    return numbers, 1e6 + numbers * PERIOD + rng.normal(0, jitter, len(numbers))


@pytest.mark.parametrize("stall", [0, 60])
def test_frames_keep_their_numbers_when_others_are_not_seen(fit, stall):
    numbers, stamps = frames(np.random.default_rng(0), 1800, stall=stall)
    fitted = fit(stamps, 1000 / 60.3)
    assert fitted["numbers"] == numbers.tolist()


def test_the_plan_stays_on_the_frames_of_the_screen(fit):
    numbers, stamps = frames(np.random.default_rng(1), 1800, jitter=1.0)
    fitted = fit(stamps, 1000 / 60)
    off = np.array(fitted["times"]) - (1e6 + numbers * PERIOD)
    assert np.abs(off).max() < 0.3  # ms, over half a minute, where each stamp is off by 1


def test_the_refresh_rate_is_measured_although_frames_are_missing(fit):
    _, stamps = frames(np.random.default_rng(2), 130)
    assert fit(stamps)["measured"] == pytest.approx(PERIOD, rel=1e-4)


def test_a_frame_that_is_seen_twice_counts_once(fit):
    stamps = np.repeat(np.arange(100) * PERIOD, 2)
    assert fit(stamps)["numbers"] == np.repeat(np.arange(100), 2).tolist()
