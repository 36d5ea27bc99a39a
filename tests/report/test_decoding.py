import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from brainloop.decoder.protocol import DecoderSettings, decode_recordings
from brainloop.eeg.positions import template_positions
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.report.decoding import find_decoding, render_decoding, verdict, write_decoding_report

LDA = DecoderSettings("lda")
HOSTILE = "<script>alert('&')"


@pytest.fixture(scope="module")
def findings():
    """Three recordings: hostile names and no places, all places, and one too short for a calibration curve."""
    recordings = [SyntheticWearer(seed).calibration(n) for seed, n in ((1, 400), (2, 400), (3, 240))]
    recordings[0] = replace(recordings[0], name=HOSTILE, repairs=("<i>Cz</i> was flat",))
    recordings[1] = replace(recordings[1], positions=template_positions(recordings[1].channels))
    return [find_decoding(decoding, LDA) for decoding in decode_recordings(recordings, LDA)]


@pytest.fixture(scope="module")
def page(findings):
    return render_decoding(findings, LDA, title=f"All of {HOSTILE}", note="Read <b>this</b> first.")


class Page(HTMLParser):
    """Collects tags and text, and checks that what opens closes."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "br", "path", "use"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


def test_the_page_is_well_formed_and_asks_for_nothing(page):
    parsed = Page(page)
    policies = [a["content"] for tag, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    for tag, attributes in parsed.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "i"}
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/"))
    assert "http:" not in page
    assert "https:" not in page
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_names_and_repairs_are_text_and_nothing_else(page):
    text = Page(page).text
    assert f"All of {HOSTILE}" in text
    assert "<i>Cz</i> was flat" in text
    assert "Read <b>this</b> first." in text


def test_every_recording_has_its_row_its_pictures_and_its_numbers_of_trials(page, findings):
    text = Page(page).text
    for number, found in enumerate(findings):
        s = found.summary
        assert f"{s['auc']:.3f} [{s['ci'][0]:.3f}, {s['ci'][1]:.3f}]" in text
        assert f"{s['n_targets']} targets and {s['n'] - s['n_targets']} non-targets" in text
        for figure in ("erp", "trials", "matrix", "scores", "roc", "reliability", "looks"):
            assert f'id="r{number}-{figure}' in page or f"#r{number}-{figure}" in page


def test_what_cannot_be_drawn_is_said(page):
    text = Page(page).text
    assert "nobody knows where the electrodes" in text  # the first: no places
    assert 'id="r1-maps' in page
    assert 'id="r0-maps' not in page
    assert "No curve over calibration trials: expected 20 targets or more" in text  # the third: too short
    assert 'id="r0-calibration' in page
    assert 'id="r2-calibration' not in page


def test_one_recording_gives_the_headline(findings):
    found = findings[1]
    text = Page(render_decoding([found], LDA, title=found.name)).text
    low, high = found.summary["ci"]
    assert f"{found.summary['auc']:.3f} AUC, 95 % interval {low:.3f} to {high:.3f}" in text
    assert "trained on the other four of five blocks in time" in text


def test_the_facts_are_plain_and_agree_with_the_findings(findings):
    for found in findings:
        facts = json.loads(json.dumps(found.facts(), allow_nan=False))
        assert facts["presentations"] == facts["n"] + sum(facts["rejected"].values())
        assert facts["auc"] == found.summary["auc"]
        assert facts["contributions"]["lda"]["auc"] == pytest.approx(facts["auc"])
        assert [point["x"] for point in facts["calibration_trials"]] == [point.x for point in found.calibration]
        assert facts["p300"]["channel"] in facts["channels"]


def test_the_p300_of_a_synthetic_wearer_is_found_over_the_back_of_the_head_at_its_latency(findings):
    facts = findings[0].facts()["p300"]
    assert facts["channel"] in {"Pz", "PO7", "Oz", "PO8", "Cz"}
    assert facts["s"] == pytest.approx(SyntheticWearer(1).latency, abs=0.08)  # the filter delays it
    assert facts["target_less_nontarget_uV"] > 2


def test_the_report_is_written_where_it_was_asked_for_and_the_same_each_time(findings, tmp_path):
    path = write_decoding_report(findings[2:], LDA, tmp_path / "new" / "one.html", title="One")
    text = path.read_text(encoding="utf-8")
    assert text.lstrip().startswith("<!DOCTYPE html>")
    assert text == render_decoding(findings[2:], LDA, title="One")


@pytest.mark.parametrize(
    ("auc", "low", "said"),
    [
        (0.53, 0.47, "Not good enough to go on: AUC 0.530 [0.470, 0.9"),
        (0.66, 0.6, "Poor: AUC 0.660"),
        (0.8, 0.7, "Good enough to go on: AUC 0.800"),
    ],
)
def test_a_verdict_is_one_sentence_with_its_numbers_and_what_to_do(auc, low, said):
    words = verdict({"auc": auc, "ci": [low, 0.9], "n": 1200})
    assert words.startswith(said)
    assert "on 1,200 trials that were held out" in words
    assert words.endswith(".")
    assert ("electrodes" in words) is not words.startswith("Good")


def test_rejected_trials_do_not_reach_the_figures(findings):
    found = findings[0]
    assert sum(found.mean.n) == found.decoding.trials.usable.sum() == found.summary["n"]
    assert np.isfinite(found.mean.mean).all()
