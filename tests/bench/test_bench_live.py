import csv
from types import SimpleNamespace

import numpy as np
import pytest

from brainloop.bench.live import _lost, _tell_classes, _timing, keyboard_auc
from brainloop.eeg.headset import HeadsetInfo


def session(onsets, *, flaws=None, missing=()):
    times = np.arange(0, 40, 1 / 512)
    times = np.delete(times, list(missing))
    events = [
        {"event": "presentation", "t": t, "next": t + 1 / 60, "flaw": (flaws or {}).get(k)}
        for k, t in enumerate(onsets)
    ]
    events += [{"event": "response", "t": 0.0, "waited": 0.002} for _ in onsets]
    events += [{"event": "clock", "t": 0.0, "offset": 5.0001}]
    return SimpleNamespace(info=HeadsetInfo("a", "a", ("Cz",), (), 512.0), times=times, events=events)


def test_figures_of_time_are_those_of_the_events():
    onsets = 1.0 + np.arange(100) * 0.1
    onsets[-1] += 0.5 / 60
    one = session(onsets, flaws={3: "late"}, missing=range(1000, 1007))
    figures = _timing([one], 5.0, 100)
    assert figures["late_share"] == 0.01
    assert figures["drift_frames"] == pytest.approx(0.5)
    assert figures["clock_error_ms"]["max"] == pytest.approx(0.1)
    assert figures["samples_lost"] == 7
    assert figures["evidence_latency_ms"]["p99"] == pytest.approx(2.0)
    assert _lost(session(onsets)) == 0


def test_the_classes_of_a_table_of_events_are_told_by_the_images_paths(tmp_path):
    table = tmp_path / "sub-ada_events.tsv"
    table.write_text(
        "onset\ttrial_type\timage\n1.0\tpresentation\ttarget/1.jpg\n2.0\tflawed\tother/2.jpg\n3.0\tpress\tn/a\n",
        encoding="utf-8",
    )
    _tell_classes(table)
    with table.open(encoding="utf-8") as file:
        kinds = [row["trial_type"] for row in csv.DictReader(file, delimiter="\t")]
    assert kinds == ["target", "nontarget", "press"]


def test_the_key_is_measured_on_people_and_says_with_what_model():
    measured = keyboard_auc(range(3))
    assert 0.8 < measured["mean"] < 1
    assert measured["model"]["misses"] >= 0.1
