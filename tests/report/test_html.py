import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from brainloop.errors import StudyError
from brainloop.report import write_report
from brainloop.report.findings import find
from brainloop.report.html import render
from brainloop.report.page import ending
from brainloop.study import Study


@pytest.fixture(scope="module")
def simulated_page(simulated, rendered, parsed):
    return parsed(rendered(simulated))


def test_every_study_gets_a_well_formed_page_that_asks_for_nothing(every_study, rendered, parsed):
    text = rendered(every_study)
    assert len(text.encode()) < 4e6
    page = parsed(text)
    page.check_complete()
    assert "b>rose" not in {tag for tag, _ in page.tags}


def test_names_of_files_and_classes_are_text_and_nothing_else(simulated, simulated_page):
    assert "<script>broken.jpg" in simulated_page.text
    assert "Looking for <b>rose" in simulated_page.text
    alternatives = [attributes["alt"] for tag, attributes in simulated_page.tags if tag == "img"]
    assert any('<script>alert("' in text for text in alternatives)


def test_the_headline_is_the_auc_with_its_interval_looks_and_minutes(simulated, simulated_page):
    last, text = simulated.store.rounds()[-1], simulated_page.text
    assert f"{last.auc:.3f} AUC, 95 % interval {last.auc_low:.3f} to {last.auc_high:.3f}" in text
    minutes = (last.viewing_s + last.machine_s) / 60
    assert f"after {last.looks} looks and {minutes:.1f} minutes, on 30 images that were never shown" in text


def test_who_looked_is_said_before_anything_is_claimed(
    simulated_page, rendered, replayed, one_round, told_truth, parsed
):
    assert "The observer is simulated. No person looked" in simulated_page.text
    assert "that person saw other stimuli" in parsed(rendered(replayed)).text
    assert "handed in by a program" in parsed(rendered(one_round)).text
    truth = parsed(rendered(told_truth)).text
    assert "Nobody looked: this study was told the truth." in truth
    assert "never used to train" not in truth


def test_the_page_says_how_the_classifier_learned(simulated_page, rendered, without_test_part, parsed):
    assert "learned and asked in brainloop's way: from the likelihood of the responses" in simulated_page.text
    assert "learned and asked in the talk's way: from soft labels" in parsed(rendered(without_test_part)).text


def test_the_talks_points_are_called_context_and_not_a_comparison(simulated_page):
    assert "0.80 at 200 looks, 4.2 min; 0.86 at 400 looks" in simulated_page.text
    assert "context and not a comparison" in simulated_page.text


def test_calibration_is_told_apart_from_viewing(simulated_page):
    assert "calibration before, not counted above 80.0 s" in simulated_page.text
    assert "Calibration took 80.0 s in all, and is not part of the viewing time" in simulated_page.text


def test_the_page_says_how_often_epochs_were_recycled(rendered, replayed, parsed):
    found = find(replayed)
    reuse = found.reuse(found.shown_target)
    text = parsed(rendered(replayed)).text
    assert f"targets {reuse.looks} {reuse.epochs} {reuse.repeats} {reuse.most}" in text


def test_rejected_epochs_and_skipped_files_are_listed_with_their_reasons(rendered, all_rejected, parsed):
    text = parsed(rendered(all_rejected)).text
    assert "40 of 40 looks (100.0 %) gave no evidence: <i>amplitude (40)" in text
    assert "Every epoch was rejected" in text
    assert "<script>broken.jpg zero bytes" in text


def test_every_setting_and_version_is_there(simulated, simulated_page):
    for name in ("looks_per_round", "confidence_threshold", "seed", "backbone"):
        assert name in simulated_page.text
    assert all(f"{name} {version}" in simulated_page.text for name, version in simulated.store.fact("versions").items())


def test_without_truth_nothing_is_measured_and_the_page_says_so(rendered, without_truth, parsed):
    page = parsed(rendered(without_truth))
    assert "There is no AUC here: no class folder is named tulip" in page.text
    assert "interval" not in page.text.partition("Round by round")[0]
    assert "Worst mistakes" not in page.text
    assert not any("nontarget" in attributes.get("class", "") for _, attributes in page.tags)


def test_without_a_test_part_there_is_no_auc_but_the_pools_mistakes(rendered, without_test_part, parsed):
    text = parsed(rendered(without_test_part)).text
    assert "no image was kept aside to measure it on" in text
    assert "Worst mistakes in the pool" in text
    assert "by the classifier alone, sigmoid(z), as the talk has it" in text
    assert "mood : <i>good" in text


def test_images_that_vanish_after_the_run_become_placeholders(make_study, pictures, one_round, tmp_path, parsed):
    moved = shutil.copytree(pictures, tmp_path / "pictures")
    folder = shutil.copytree(one_round.folder, tmp_path / "study")
    study = Study.open(folder)
    study.settings = replace(study.settings, images=str(moved))
    shutil.rmtree(moved / "sky")
    text = parsed(render(study)).text
    assert "no picture: vanished between scan and read" in text


def test_the_ending_is_said_in_words(simulated):
    found = find(simulated)
    assert ending(found).startswith("Not converged: it stopped at the limit of 80 looks")
    sure = replace(found.last, unsure=0.02, converged=True)
    assert ending(replace(found, rounds=[sure, sure])).startswith("Converged after round 2")
    longer = replace(found, settings=replace(found.settings, max_looks=1000))
    assert ending(longer).startswith("Not over")
    assert ending(replace(longer, rounds=[replace(sure, unsure=0.0)])).endswith("nothing is left to ask.")


def test_the_same_study_gives_the_same_page(rendered, simulated):
    assert render(simulated) == rendered(simulated)


def test_the_report_lies_in_the_studys_folder_and_progress_is_told(rendered, one_round):
    told = []
    path = write_report(one_round, progress=lambda done, total: told.append((done, total)))
    assert path == one_round.folder / "reports" / "report.html"
    assert path.read_text(encoding="utf-8") == rendered(one_round)
    assert [done for done, _ in told] == list(range(told[-1][1] + 1))


def test_a_study_without_a_round_leaves_no_file(make_study, tmp_path):
    with pytest.raises(StudyError, match="brainloop run"):
        write_report(make_study(observer="simulated"), tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_a_real_browser_shows_it_whole_and_has_nothing_to_complain_of(rendered, replayed, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine: the report is not opened in a real browser")
    path = tmp_path / "report.html"
    path.write_text(rendered(replayed), encoding="utf-8")
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    shown = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", *quiet, "--enable-logging=stderr",
         f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in shown.stderr  # where it would say what the policy forbade
    assert "<footer>" in shown.stdout
    assert shown.stdout.count("<svg") == len(re.findall("<svg", path.read_text(encoding="utf-8")))
    assert shown.stdout.count("<script") == 0
