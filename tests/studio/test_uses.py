"""What looks are for, on the page: several classes, an audit, a review, fusion, and what is given away as files."""

import csv
import json
import random
import re
import shutil
from io import BytesIO, StringIO
from zipfile import ZipFile

import pytest

from brainloop.loop import run
from brainloop.observers.oracle import Oracle
from brainloop.study import Study

SHORT = {"block_size": 25, "looks_per_round": 75, "max_looks": 75, "pause": 0.5}


def look(folder, rounds):
    """Let somebody who is always right look at a study for some rounds, without a page."""
    study = Study.open(folder)
    loop = run(study, Oracle(study.data().truth, soa=0.2))
    for _, _ in zip(range(rounds), loop, strict=False):
        pass
    loop.close()
    study.store.close()


def fill(page, use, images, name, **values):
    """Fill in the form for a new study, but for what is chosen there."""

    def shorten(route):
        route.continue_(post_data=json.dumps(json.loads(route.request.post_data) | values))

    page.route("**/api/study/create", shorten)
    page.get_by_role("radio", name=re.compile(f"^{use}")).check()
    page.get_by_role("textbox", name="Folder of images").fill(str(images))
    page.get_by_role("textbox", name=re.compile("^Name")).fill(name)


def create(visitor, name):
    visitor.click("Create study")
    visitor.page.get_by_role("heading", name=name, exact=True).wait_for()
    visitor.until(lambda state: state["progress"] is None and state["study"]["embedded"])


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    """A home with a study that has learned to find sunsets."""
    home = tmp_path_factory.mktemp("trained") / "home"
    study = Study.create(
        home / "sunsets", images=str(photos), target="sunset", observer="own", looks_per_round=50, max_looks=200
    )
    study.store.close()
    look(home / "sunsets", 4)
    return home


def test_several_classes_are_chosen_looked_for_in_turn_and_told_apart(rooms, skies, finger_of, calibrate_key, tmp_path):
    room, seen = rooms(), []
    with room.visit(tmp_path) as visitor, room.lab("markers") as markers:
        page = visitor.page
        fill(page, "Tell classes apart", skies, "skies", soa=0.1, **SHORT)
        page.get_by_role("checkbox", name=re.compile("^night")).wait_for()
        visitor.picture("new-classes")
        create(visitor, "skies")
        visitor.picture("classes-study")
        assert visitor.state()["study"]["names"] == ["day", "night", "sunset"]
        visitor.post("person", name="cleo", consent=True, no_epilepsy=True)
        calibrate_key(tmp_path / "skies", "cleo")
        visitor.post("mode", mode="keyboard")
        visitor.turn_to("Watch")
        visitor.click("Start")
        page.get_by_text("Press space to begin").wait_for()
        visitor.picture("classes-begin")
        assert markers.stdout.readline() == "listening\n"
        announced = page.locator(".screen .sought")
        seen.append(announced.locator("strong").inner_text())
        assert announced.locator("img").count() == 3
        visitor.begin()
        finger = finger_of(visitor, markers, 25, 0.1)
        for block in (1, 2):
            finger.press_until(lambda block=block: finger.presentations >= 25 * block)
            page.get_by_role("heading", name=re.compile("^Something else now")).wait_for()
            seen.append(announced.locator("strong").inner_text())
            visitor.picture("classes-looking")
            page.keyboard.press("Space")
        finger.press_until(lambda: finger.presentations >= 75)
        visitor.until(lambda state: state["activity"] == "idle" and state["study"]["looks"] == 75)
        visitor.turn_to("Results")
        matrix = page.get_by_role("group", name="Confusion matrix")
        matrix.wait_for()
        assert matrix.get_by_role("columnheader", name="night").is_visible()
        cells = [int(text) for text in matrix.locator("tbody td:not(.total)").all_inner_texts()]
        page.get_by_role("img", name=re.compile("^AUC of each class")).locator("svg").first.wait_for()
        page.get_by_role("img", name=re.compile("^Looks by what was looked for")).locator("svg").first.wait_for()
        visitor.picture("classes-results")
        assert visitor.faults == []
        assert visitor.barriers == []
    study = Study.open(tmp_path / "skies")
    targets = [block.target for block, _ in study.store.blocks()]
    study.store.close()
    assert sorted(seen) == ["day", "night", "sunset"]  # each once, before anything else is known
    assert seen == targets[:3]
    assert sum(cells) == 30  # a quarter of each class was never shown
    assert sum(cells[::4]) > 15


@pytest.fixture
def annotated(skies, tmp_path):
    """Annotations of the skies, one in ten wrong; and which."""
    rng, rows, wrong = random.Random(0), [], {}
    for path in sorted(skies.glob("*/*.jpg")):
        name, label = path.relative_to(skies).as_posix(), path.parent.name
        if rng.random() < 0.1:
            label = rng.choice([other for other in ("day", "night", "sunset") if other != label])
            wrong[name] = path.parent.name
        rows.append([name, label])
    file = tmp_path / "labels.csv"
    with file.open("w", newline="") as table:
        csv.writer(table).writerows([["path", "label"], *rows])
    return file, wrong


def test_an_audit_goes_from_annotations_to_an_amended_copy(rooms, skies, annotated, tmp_path):
    file, wrong = annotated
    original, home = file.read_bytes(), tmp_path / "home"
    home.mkdir()
    with rooms().visit(home) as visitor:
        page = visitor.page
        fill(page, "Check annotations", skies, "check", looks_per_round=60)
        page.get_by_role("textbox", name=re.compile("^Annotations")).fill(str(file))
        page.get_by_role("checkbox", name=re.compile("^night")).wait_for()
        create(visitor, "check")
        visitor.sees("Calibration uses some of the annotations")
        visitor.click("Close")
        look(home / "check", 12)
        visitor.click(re.compile("^check"))
        page.get_by_role("heading", name="check").wait_for()
        visitor.turn_to("Results")
        found = page.get_by_role("listitem").filter(has=page.get_by_role("button", name=re.compile("^Keep")))
        found.first.wait_for(timeout=60_000)
        visitor.picture("audit-results")
        n_changed = found.count()
        kept = found.first.get_by_role("img").first.get_attribute("alt")
        found.first.get_by_role("button", name=re.compile("^Keep")).click()
        visitor.until(lambda state: state["study"]["corrections"] == 1)
        page.get_by_role("button", name=re.compile("^Kept")).click()
        page.get_by_text("your word").wait_for()
        visitor.click("Write amended annotations")
        link = page.get_by_role("link", name=re.compile("^labels-amended.csv"))
        link.wait_for(timeout=60_000)
        with page.expect_download() as download:
            link.click()
        amended = tmp_path / "amended.csv"
        download.value.save_as(amended)
        visitor.click("Write amended annotations")
        page.get_by_role("dialog", name="Write the amended annotations again?").wait_for()
        visitor.click("Cancel")
        assert visitor.faults == []
        assert visitor.barriers == []
    assert file.read_bytes() == original
    rows = {row["path"]: row for row in csv.DictReader(StringIO(amended.read_text()))}
    changed = {path for path, row in rows.items() if row["original_label"] and row["label"] != row["original_label"]}
    assert len(rows) == 120
    assert kept not in changed
    assert len(changed) == n_changed - 1
    assert len(changed & set(wrong)) >= 0.6 * len(wrong)
    assert all(rows[path]["label"] == wrong[path] for path in changed & set(wrong) - {kept})


def test_a_review_sorts_into_three_piles_and_the_word_of_a_person_moves_an_image(rooms, trained, skies, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(trained, home)
    with rooms().visit(home) as visitor:
        page = visitor.page
        fill(page, "Review new images", skies, "new", looks_per_round=20)
        assert page.get_by_role("combobox", name="Classifier").inner_text() == "sunsets: sunset"
        visitor.picture("new-review")
        create(visitor, "new")
        assert visitor.state()["study"]["names"] == ["sunset"]
        visitor.turn_to("Results")
        piles = {
            name: page.get_by_role("region", name=name, exact=True) for name in ("sunset", "Still open", "Not sunset")
        }
        count = lambda: [int(pile.locator(".count").inner_text()) for pile in piles.values()]  # noqa: E731
        piles["sunset"].wait_for(timeout=60_000)
        before = count()
        assert sum(before) == 120
        name, key, to = next((n, k, t) for n, k, t in (("Still open", "t", 0), ("Not sunset", "t", 0)) if
                             piles[n].get_by_role("option").count())  # fmt: skip
        piles[name].get_by_role("listbox").focus()
        page.keyboard.press(key)
        visitor.until(lambda state: state["study"]["corrections"] == 1)
        page.wait_for_function(
            "n => Number(document.querySelector('.pile .count').textContent) === n", arg=before[to] + 1
        )
        visitor.picture("review-results")
        visitor.turn_to("Export")
        page.get_by_role("checkbox", name=re.compile("^sorted.csv")).wait_for()
        assert page.get_by_role("checkbox").count() == 2
        visitor.click("Write the files")
        page.get_by_role("row", name=re.compile("^sorted.csv")).wait_for(timeout=60_000)
        assert visitor.faults == []
        assert visitor.barriers == []
    rows = list(csv.DictReader(StringIO((home / "new" / "exports" / "sorted.csv").read_text())))
    assert len(rows) == 120


def test_results_add_brain_and_classifier_up_and_exports_are_never_overwritten_unasked(
    rooms, trained, tmp_path, eventually
):
    home = tmp_path / "home"
    shutil.copytree(trained, home)
    with rooms().visit(home) as visitor:
        page = visitor.page
        visitor.click(re.compile("^sunsets"))
        page.get_by_role("heading", name="sunsets").wait_for()
        visitor.until(lambda state: state["study"]["embedded"] and state["progress"] is None)
        visitor.sees("Nobody sits before this study")
        visitor.turn_to("Results")
        chart = page.get_by_role("img", name="What the classifier says of each image against what the looks said")
        chart.locator("svg").first.wait_for(timeout=60_000)
        page.get_by_text("Both together").wait_for()
        chart.scroll_into_view_if_needed()
        visitor.picture("fusion-results")
        visitor.turn_to("Export")
        page.get_by_role("checkbox", name=re.compile("^report.html")).uncheck()
        page.get_by_role("checkbox", name=re.compile("^imagefolder.zip")).check()
        visitor.picture("exports")
        visitor.click("Write the files")
        row = page.get_by_role("row", name=re.compile("^imagefolder.zip"))
        row.wait_for(timeout=60_000)
        visitor.sees(re.compile("^Written: labels.csv"))
        with page.expect_download() as download:
            row.get_by_role("link").click()
        packed = tmp_path / "imagefolder.zip"
        download.value.save_as(packed)
        written = (home / "sunsets" / "exports" / "labels.csv").stat().st_mtime_ns
        refused = page.request.post(
            f"{visitor.studio.base}/api/export", data={"what": ["labels"]}, headers={"origin": visitor.studio.base}
        )
        assert refused.status == 400
        assert "labels.csv" in refused.json()["error"]
        visitor.click("Write the files")
        asked = page.get_by_role("dialog", name="Replace what is there?")
        assert "imagefolder.zip" in asked.inner_text()
        visitor.click("Cancel")
        assert (home / "sunsets" / "exports" / "labels.csv").stat().st_mtime_ns == written
        visitor.click("Write the files")
        visitor.click("Replace")
        eventually(lambda: (home / "sunsets" / "exports" / "labels.csv").stat().st_mtime_ns > written)
        visitor.until(lambda state: state["activity"] == "idle")
        assert visitor.faults == []
        assert visitor.barriers == []
    with ZipFile(BytesIO(packed.read_bytes())) as archive:
        folders = {name.split("/")[1] for name in archive.namelist() if name.endswith(".jpg")}
    assert folders == {"sunset", "not sunset"}
