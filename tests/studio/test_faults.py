"""What goes wrong in a lab, made to go wrong for real: nothing recorded is lost, and the page says what happened."""

import errno
import os
import re
import resource
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from brainloop.calibration import load_calibrated
from brainloop.eeg.epochs import cut
from brainloop.eeg.layout import Layout
from brainloop.eeg.recorder import Session, read_session
from brainloop.eeg.signal import Signal
from brainloop.settings import Settings
from brainloop.study import Study

LOOKS = 50
"""In a round, and in a block, of the study that was calibrated."""


@pytest.fixture(scope="module")
def studies(calibration):
    """Make a copy of the studies of somebody who has calibrated, with so many looks to come."""

    def copy(home, max_looks):
        shutil.copytree(calibration.home, home, dirs_exist_ok=True)
        settings = home / "first" / "study.toml"
        replace(Settings.load(settings), max_looks=max_looks).save(settings)
        return home / "first"

    return copy


@pytest.fixture(scope="module")
def room(rooms):
    return rooms()


@contextmanager
def opened(folder):
    study = Study.open(folder)
    yield study
    study.store.close()


def answered(folder):
    """Give, for each block, the positions that have an answer, and how many were planned."""
    with opened(folder) as study:
        looks, blocks = study.store.looks(), study.store.blocks()
    return {
        block.number: (looks.position[looks.block == block.number].tolist(), len(block.images)) for block, _ in blocks
    }


def is_whole(folder):
    return all(positions == list(range(planned)) for positions, planned in answered(folder).values())


def recorded(folder) -> list[Session]:
    """Read the raw recordings of watching, in their order."""
    sessions = [read_session(path.parent) for path in sorted(folder.glob("people/ada/*/meta.json"))]
    return [session for session in sessions if session.about["phase"] == "study"]


def said(session, kind):
    return [event for event in session.events if event["event"] == kind]


def begin_to_watch(visitor, looks):
    """Watch until so many looks have been answered."""
    visitor.sit_down("first", "ada", "cap")
    visitor.click(re.compile("^(Start|Go on)$"))
    visitor.begin()
    reach(visitor, looks)


def reach(visitor, looks):
    visitor.until(lambda state: state["watch"] and state["watch"]["looks"] >= looks)


def finish(visitor, looks):
    return visitor.until(lambda state: state["activity"] == "idle" and state["study"]["looks"] == looks)


def test_a_studio_that_is_killed_in_a_block_loses_less_than_a_second_and_goes_on_where_it_was(studies, room, tmp_path):
    folder = studies(tmp_path / "studies", LOOKS)
    with room.wearer("cap"):
        with room.visit(folder.parent) as visitor:
            begin_to_watch(visitor, 10)
            visitor.studio.process.kill()
            visitor.studio.process.wait()
            killed = time.monotonic()  # the clock of LSL
            visitor.sees("The studio does not answer")
        (session,) = recorded(folder)
        ((positions, planned),) = answered(folder).values()
        assert session.times[-1] > killed - 1
        assert np.abs(np.diff(session.times) - 1 / 250).max() < 0.5 / 250
        assert 10 <= len(positions) < planned
        assert positions == list(range(len(positions)))
        with room.visit(folder.parent) as visitor:
            begin_to_watch(visitor, len(positions) + 1)
            finish(visitor, LOOKS)
    assert is_whole(folder)
    with opened(folder) as study:
        looks = study.store.looks()
    first, second = (session.about["session"] for session in recorded(folder))
    sources = [line.split("#")[0] for line in looks.source]
    assert sources == [f"ada/{first}"] * len(positions) + [f"ada/{second}"] * (LOOKS - len(positions))
    exported = {path.name for path in (folder / "recordings" / "sub-ada").iterdir()}
    assert {f"ses-{first}", f"ses-{second}"} <= exported


@dataclass(frozen=True)
class Troubled:
    """What came of a sitting with all kinds of trouble."""

    folder: Path
    session: Session
    saw: list[str]


@pytest.fixture(scope="module")
def troubled(studies, room, tmp_path_factory, eventually):
    """A sitting in which samples are lost, a clock jumps, a headset vanishes, and a window is hidden and doubled."""
    folder, saw = studies(tmp_path_factory.mktemp("troubled") / "studies", 2 * LOOKS), []

    def trouble(words):
        wearer.stdin.write(f"{words}\n")
        assert wearer.stdout.readline().strip() == words

    def sees(page, text):
        page.get_by_text(text).first.wait_for()
        saw.append(text)

    with room.visit(folder.parent) as visitor, room.lab("wearer", "cap") as wearer:
        assert wearer.stdout.readline() == "publishing\n"
        begin_to_watch(visitor, 3)
        trouble("gap 0.3")
        reach(visitor, 15)

        visitor.page.evaluate(HIDE, True)
        sees(visitor.page, "Paused")
        visitor.page.evaluate(HIDE, False)
        visitor.begin()
        reach(visitor, 25)

        with visitor.page.expect_popup() as popup:
            visitor.page.evaluate("() => { window.open('/#watch'); }")
        before, visitor.page = visitor.page, popup.value
        sees(visitor.page, "The presentation is shown in another window.")
        visitor.click("Show it here")
        sees(visitor.page, "Another window shows the presentation")
        visitor.click("Show it here instead")
        sees(before, "Another window shows the presentation now.")
        visitor.begin()

        reach(visitor, LOOKS + 5)
        trouble("drop 3")
        sees(visitor.page, "No samples come from")
        eventually(lambda: visitor.state()["headset"]["state"] == "streaming")
        visitor.begin()
        reach(visitor, LOOKS + 25)
        trouble("jump 0.4")
        finish(visitor, 2 * LOOKS)
        (session,) = recorded(folder)
        return Troubled(folder, session, saw)


HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_the_page_says_what_happened_and_space_goes_on(troubled):
    assert troubled.saw == [
        "Paused",
        "The presentation is shown in another window.",
        "Another window shows the presentation",
        "Another window shows the presentation now.",
        "No samples come from",
    ]
    assert said(troubled.session, "lost")
    assert said(troubled.session, "back")


def test_whatever_happens_every_presentation_is_shown_and_answered_once(troubled):
    assert is_whole(troubled.folder)
    for kind in ("presentation", "response"):
        places = [(event["block"], event["position"]) for event in said(troubled.session, kind)]
        assert len(places) == len(set(places)) == 2 * LOOKS


def test_epochs_over_a_gap_a_loss_or_a_jump_are_rejected_with_their_reason_and_nothing_else_is(troubled):
    session, signal = troubled.session, Signal()
    steps = np.diff(session.times)
    breaks = np.flatnonzero(np.abs(steps - 1 / 250) > 0.5 / 250)
    lost = sorted(steps[breaks].round(1))
    assert lost[:2] == [0.3, 0.4]
    assert lost[2] > 2.5  # and the time that it takes to find the stream again
    assert len(lost) == 3
    onsets = {(event["block"], event["position"]): event for event in said(session, "presentation")}
    reasons = set()
    for event in said(session, "response"):
        shown = onsets[event["block"], event["position"]]
        begin, end = shown["t"] + signal.tmin, shown["t"] + signal.tmax
        expected, clear = shown["flaw"], True
        for place in breaks if expected is None else ():
            last, first = session.times[place], session.times[place + 1]
            edges = np.array([last - end, begin - first, begin - first - signal.settle])
            clear &= bool((np.abs(edges) > 2 / 250).all())
            if begin < first and end > last:
                expected = "gap"
            elif 0 <= begin - first < signal.settle:
                expected = "filter settling"
        if clear:  # at the very edge a sample decides
            assert event["rejected"] == expected, (event, shown)
        reasons.add(event["rejected"])
    assert {None, "gap"} <= reasons


def test_live_evidence_is_that_of_the_same_decoder_on_the_recording_of_the_sitting(troubled):
    session, signal = troubled.session, Signal()
    calibrated = load_calibrated(troubled.folder / "people" / "ada")
    preparation, info = calibrated.preparation, session.info
    prepared = preparation.on(info.channels)(session.data[: len(info.channels)].astype(float))
    shown = {(event["block"], event["position"]): event for event in said(session, "presentation")}
    answers = [event for event in said(session, "response") if event["rejected"] is None]
    onsets = np.array([shown[event["block"], event["position"]]["t"] for event in answers])
    epochs = cut(session.times, prepared, onsets, info.sfreq, signal)
    assert epochs.usable.all()
    layout = Layout.of(preparation.outputs, info.sfreq, signal)
    scores = np.concatenate([calibrated.decoder.decision_function(epoch[None], layout) for epoch in epochs.data])
    offline = calibrated.decoder.calibration_.evidence(scores)
    np.testing.assert_allclose([event["evidence"] for event in answers], offline, rtol=0, atol=1e-9)
    with opened(troubled.folder) as study:
        looks = study.store.looks()
    stored = dict(zip(zip(looks.block.tolist(), looks.position.tolist(), strict=True), looks.evidence, strict=True))
    assert [stored[event["block"], event["position"]] for event in answers] == [event["evidence"] for event in answers]


class FullDisk:
    """A disk that has no room left from one moment on: a small tmpfs; where none may be mounted, files cannot grow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pid = None
        mounting = ["mount", "-t", "tmpfs", "-o", "size=64m", "brainloop-test", str(folder)]
        self._is_mounted = subprocess.run(mounting, check=False, capture_output=True).returncode == 0

    def fill(self, studio):
        if not self._is_mounted:
            self._pid = studio.process.pid
            size = max(path.stat().st_size for path in self.folder.glob("**/people/*/*/samples.f32"))
            resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            return
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(4096))
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017

    def clear(self):
        if not self._is_mounted:
            resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        else:
            (self.folder / "ballast").unlink()

    def close(self):
        if self._is_mounted:
            os.sync()
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    disk = FullDisk(folder)
    yield disk
    disk.close()


def test_a_disk_that_is_full_ends_the_sitting_with_its_reason_and_it_goes_on_once_there_is_room(
    studies, room, disk, capfd
):
    folder = studies(disk.folder / "studies", LOOKS)
    with room.visit(folder.parent) as visitor, room.wearer("cap"):
        begin_to_watch(visitor, 10)
        disk.fill(visitor.studio)
        visitor.sees(re.compile("No space left|File too large|disk is full"))
        visitor.until(lambda state: state["activity"] == "idle")
        (session,) = recorded(folder)
        ((positions, planned),) = answered(folder).values()
        assert len(session.times) > 250
        assert 10 <= len(positions) < planned
        assert positions == list(range(len(positions)))
        disk.clear()
        visitor.click("Go on")
        visitor.begin()
        finish(visitor, LOOKS)
    assert is_whole(folder)
    assert "Traceback" not in capfd.readouterr().err
