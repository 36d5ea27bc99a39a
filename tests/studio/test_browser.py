"""A first session from beginning to end: Chromium, a studio and a synthetic wearer, each a process of its own.

Somebody clicks and presses keys on the page, as a person does. What is asserted on is what they see, and what is on
disk.
"""

import csv
import json
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from brainloop.eeg.recorder import read_session
from brainloop.eeg.recordings import read_recordings
from brainloop.study import Study

TARGETS = "sunset"


@contextmanager
def opened(folder):
    study = Study.open(folder)
    yield study
    study.store.close()


def live_auc(folder):
    """Give the AUC of the stored evidence of single looks, and its standard error if it is worth nothing."""
    with opened(folder) as study:
        looks, truth = study.store.looks(), {one.id: one.label == TARGETS for one in study.store.images()}
    is_target = np.array([truth[image] for image in looks.image])
    n, m = is_target.sum(), (~is_target).sum()
    # Of the Mann-Whitney statistic under the null hypothesis (Hanley and McNeil 1982).
    return roc_auc_score(is_target, looks.evidence), np.sqrt((n + m + 1) / (12 * n * m))


@dataclass(frozen=True)
class FirstSession:
    """What came of the second half of a first session."""

    folder: Path
    corrected: int
    state: dict
    download: Path
    faults: list
    barriers: list
    seen: str


@pytest.fixture(scope="module")
def first(calibration, rooms, tmp_path_factory):
    """Who has calibrated comes back, watches two rounds, corrects an image and takes everything along."""
    home, source, room = tmp_path_factory.mktemp("watched") / "studies", "cap", rooms()
    shutil.copytree(calibration.home, home)
    folder = home / "first"
    with room.visit(home) as visitor, room.wearer(source):
        page = visitor.page
        visitor.sit_down("first", "ada", source)
        visitor.click("Start")
        visitor.begin()
        visitor.until(lambda state: state["watch"] and state["watch"]["looks"] >= 10)
        # Stopped in the middle of a block, and gone on with.
        visitor.leave_screen()
        visitor.sees("It waits for you where it was.")
        visitor.picture("stopped")
        visitor.click("Stop")
        visitor.until(lambda state: state["activity"] == "idle")
        visitor.click("Go on")
        visitor.begin()
        visitor.until(lambda state: state["activity"] == "idle")
        page.get_by_role("dialog", name="Presentation").wait_for(state="detached")
        visitor.sees("100 looks, as many as this study was to have.")
        page.get_by_role("button", name="Stop").wait_for(state="detached")
        page.get_by_role("img", name=re.compile("^AUC against looks")).locator("svg").first.wait_for()
        seen = page.get_by_role("main").inner_text()
        visitor.picture("watch")

        visitor.turn_to("Results")
        for chart in ("AUC against minutes", "Distribution of evidence", "Distribution of confidence", "Mean response"):
            page.get_by_role("img", name=re.compile(f"^{chart}")).locator("svg").first.wait_for()
        visitor.picture("results")
        visitor.click("Images")
        gallery = page.get_by_role("listbox", name=re.compile("^Images"))
        gallery.get_by_role("option").first.wait_for()
        gallery.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("n")
        gallery.get_by_role("option", name="you said: not target").wait_for()
        state = visitor.until(lambda state: state["study"]["corrections"] == 1)
        (corrected,) = state["study"]["examples"][TARGETS]["others"]
        visitor.picture("gallery")

        visitor.turn_to("Export")
        page.get_by_role("checkbox", name=re.compile("^recordings.zip")).check()
        visitor.click("Write the files")
        page.get_by_role("row", name=re.compile("^recordings.zip")).wait_for(timeout=120_000)
        visitor.picture("export")
        with page.expect_download() as download:
            page.get_by_role("row", name=re.compile("^labels.csv")).get_by_role("link").click()
        labels = tmp_path_factory.mktemp("downloads") / "labels.csv"
        download.value.save_as(labels)
        return FirstSession(folder, corrected, visitor.state(), labels, visitor.faults, visitor.barriers, seen)


def test_the_headset_page_shows_moving_traces_and_the_quality_of_every_channel(calibration):
    assert len(calibration.quality) == 8
    assert all(re.search("good|noisy|flat|railed", line) for line in calibration.quality)


def test_consent_is_kept_with_its_words_before_anything_is_recorded(calibration):
    person = json.loads((calibration.home / "first" / "people" / "ada" / "person.json").read_text())
    assert all(text in person.values() for text in calibration.state["consent_text"].values())


def test_the_calibration_page_shows_the_auc_with_its_interval_and_the_mean_response(calibration):
    found = calibration.state["calibration"]
    assert f"AUC {found['auc']:.2f} [{found['low']:.2f}, {found['high']:.2f}]" in calibration.told
    assert found["good"]
    assert found["erp"]["n"][1] <= found["targets"]


def test_the_calibration_is_a_bids_recording_that_can_be_read_like_any_other(calibration):
    (recording,) = read_recordings([calibration.home / "first" / "recordings"])
    found = calibration.state["calibration"]
    assert (recording.n_targets, recording.n_targets + recording.n_nontargets) == (
        found["targets"],
        found["presentations"],
    )
    assert len(recording.channels) == 8


def test_every_planned_presentation_was_answered_once_in_two_rounds(first):
    with opened(first.folder) as study:
        blocks, rounds, looks = study.store.blocks(), study.store.rounds(), study.store.looks()
    assert [answered for _, answered in blocks] == [len(block.images) for block, _ in blocks]
    assert [one.looks for one in rounds] == [50, 100]
    assert len(set(zip(looks.block.tolist(), looks.position.tolist(), strict=True))) == len(looks.image) == 100


def test_the_raw_recordings_tell_of_every_response_and_lost_no_sample(first):
    with opened(first.folder) as study:
        looks = study.store.looks()
    sessions = [read_session(path.parent) for path in sorted((first.folder / "people" / "ada").glob("*/meta.json"))]
    assert [session.about["phase"] for session in sessions] == ["calibration", "study", "study"]
    for session in sessions:
        assert np.abs(np.diff(session.times) - 1 / 250).max() < 0.5 / 250
    told = [
        (event["block"], event["position"], event["evidence"])
        for session in sessions
        for event in session.events
        if event["event"] == "response"
    ]
    assert sorted(told) == list(
        zip(looks.block.tolist(), looks.position.tolist(), looks.evidence.tolist(), strict=True)
    )


def test_watching_is_exported_as_bids_with_the_images_that_were_seen(first):
    shown = []
    for table in (first.folder / "recordings").glob("sub-ada/*/eeg/*task-study*_events.tsv"):
        with table.open() as file:
            rows = [row for row in csv.DictReader(file, delimiter="\t") if row["image"] != "n/a"]
        assert {row["trial_type"] for row in rows} <= {"presentation", "flawed"}
        shown += [(int(row["block"]), int(row["position"]), row["image"]) for row in rows]
    with opened(first.folder) as study:
        paths = {image.id: image.path for image in study.store.images()}
        planned = {
            (block.number, position, paths[image])
            for block, _ in study.store.blocks()
            for position, image in enumerate(block.images)
        }
    assert set(shown) == planned


def test_a_wearer_who_responds_is_understood(first):
    auc, chance = live_auc(first.folder)
    assert auc > max(0.7, 0.5 + 2 * chance)
    assert first.state["study"]["rounds"][-1]["auc"] is not None
    assert "100" in first.seen


def test_the_correction_is_stored_and_in_the_labels(first):
    with opened(first.folder) as study:
        assert study.store.corrections() == {first.corrected: (TARGETS, False)}
        path = next(image.path for image in study.store.images() if image.id == first.corrected)
    rows = {row["path"]: row for row in csv.DictReader(StringIO(first.download.read_text()))}
    assert len(rows) == 300
    assert rows[path]["correction"] == f"not {TARGETS}"
    assert float(rows[path]["posterior"]) < 0.5
    assert sum(int(row["looks"]) for row in rows.values()) == 100


def test_every_export_is_there_and_whole(first):
    out = first.folder / "exports"
    assert {"labels.csv", "head.safetensors", "features.safetensors", "recordings.zip", "report.html"} <= {
        path.name for path in out.iterdir()
    }
    with ZipFile(out / "recordings.zip") as archive:
        assert archive.testzip() is None
        assert sum(name.endswith("_eeg.vhdr") for name in archive.namelist()) == 3


def test_the_browser_complains_of_nothing_and_asks_nobody_else(calibration, first):
    assert calibration.faults == []
    assert first.faults == []


def test_every_control_has_a_name_and_is_reached_by_keyboard_and_every_text_has_contrast(calibration, first):
    assert calibration.barriers == []
    assert first.barriers == []


@pytest.mark.usefixtures("calibration", "first")
def test_there_is_a_picture_of_every_page(pictures):
    for name in ("study", "headset", "calibrate", "looking", "calibrated", "watch", "results", "export"):
        with Image.open(pictures / f"{name}.png") as picture:
            assert picture.size == (1280, 720)
            assert len(picture.convert("RGB").getcolors(1 << 20)) > 20


def sit_without_a_response(room, photos, home, eventually):
    """Somebody whose brain says nothing calibrates, is warned, insists, and watches."""
    with room.visit(home) as visitor, room.wearer("cap", "--seed", "2", "--no-response"):
        made = {"block_size": 100, "looks_per_round": 100, "max_looks": 100, "pause": 0.5, "soa": 0.1}
        visitor.post("study/create", name="silent", images=str(photos), target=TARGETS, **made)
        visitor.post("person", name="bob", consent=True, no_epilepsy=True)
        visitor.wear("cap")
        visitor.turn_to("Calibrate")
        visitor.click("Start calibration")
        visitor.begin()
        (events,) = (home / "silent" / "people" / "bob").glob("*/events.jsonl")
        eventually(lambda: events.read_text().count('"presentation"') >= 250)
        visitor.leave_screen()
        visitor.click("Stop")
        state = visitor.until(lambda state: state["activity"] == "idle" and state["calibration"])
        found = state["calibration"]
        for text in (found["verdict"], *found["advice"]):
            visitor.sees(text)
        visitor.picture("refused")
        visitor.turn_to("Watch")
        assert visitor.page.get_by_role("button", name="Start").is_disabled()
        visitor.turn_to("Calibrate")
        visitor.click("Go on anyway…")
        visitor.click("Go on anyway")
        visitor.click("Start")
        visitor.begin()
        visitor.until(lambda state: state["activity"] == "idle" and state["study"]["looks"] == 100)
        assert visitor.faults == []
        assert visitor.barriers == []
    return home / "silent", found


def sit_with_the_space_bar(room, photos, home, finger_of):
    """Somebody without a headset calibrates the space bar and watches."""
    with room.visit(home) as visitor, room.lab("markers") as markers:
        made = {"block_size": 50, "looks_per_round": 100, "max_looks": 100, "pause": 0.5, "soa": 0.2}
        visitor.post("study/create", name="keys", images=str(photos), target=TARGETS, **made)
        visitor.post("person", name="cleo", consent=True, no_epilepsy=True)
        visitor.turn_to("Headset")
        visitor.click("Use the space bar")
        visitor.click("Start calibration")
        assert markers.stdout.readline() == "listening\n"
        visitor.begin()
        finger = finger_of(visitor, markers, 50, 0.2)
        finger.press_until(lambda: finger.presentations >= 150)
        visitor.leave_screen()
        visitor.click("Stop")
        state = visitor.until(lambda state: state["activity"] == "idle" and state["calibration"])
        visitor.sees("Reaction time")
        visitor.picture("keys")
        if not state["calibration"]["good"]:
            visitor.post("calibrate/accept", anyway=True)
        visitor.turn_to("Watch")
        finger.presentations = 0
        visitor.click("Start")
        visitor.begin()
        finger.press_until(lambda: finger.presentations >= 100)
        visitor.until(lambda state: state["activity"] == "idle" and state["study"]["looks"] == 100)
        assert visitor.faults == []
        assert visitor.barriers == []
    return home / "keys", state["calibration"]


def test_a_wearer_without_any_response_is_refused_with_advice_and_scores_chance_live(
    rooms, photos, tmp_path, eventually
):
    folder, found = sit_without_a_response(rooms(), photos, tmp_path, eventually)
    assert not found["good"]
    assert not found["accepted"]
    assert found["advice"]
    n, m = found["targets"], found["presentations"] - found["targets"]
    assert abs(found["auc"] - 0.5) < 3.3 * np.sqrt((n + m + 1) / (12 * n * m))
    auc, chance = live_auc(folder)
    assert abs(auc - 0.5) < 3.3 * chance


def test_without_a_headset_the_space_bar_teaches(rooms, photos, finger_of, tmp_path):
    folder, found = sit_with_the_space_bar(rooms(), photos, tmp_path, finger_of)
    assert found["keys"]["presses"] > 10
    auc, chance = live_auc(folder)
    assert auc > max(0.7, 0.5 + 2 * chance)
    with opened(folder) as study:
        assert study.store.people() == {"cleo": (100, 0)}
