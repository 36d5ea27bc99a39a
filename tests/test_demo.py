import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from brainloop.demo import demo_settings, shared_folder, write_digits


def test_the_digits_are_scikit_learns_with_ten_percent_threes(tmp_path):
    folder = write_digits(tmp_path)
    files = sorted(folder.rglob("*.png"))
    assert len(files) == 1797
    assert len(list((folder / "3").iterdir())) / 1797 == pytest.approx(0.1, abs=0.01)
    first = np.asarray(Image.open(folder / "0" / "0000.png").resize((8, 8), Image.Resampling.BOX), dtype=float)
    assert np.corrcoef(first.ravel(), -load_digits().images[0].ravel())[0, 1] > 0.95


def test_without_the_shared_folder_the_demo_says_that_it_is_simulated(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINLOOP_SHARED", str(tmp_path))
    settings, who = demo_settings(tmp_path)
    assert shared_folder() is None
    assert settings.observer == "simulated"
    assert "simulated" in who


def test_with_the_shared_folder_the_demo_replays_real_recordings_and_says_so(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINLOOP_SHARED", str(shared))
    settings, who = demo_settings(tmp_path)
    assert settings.observer == "replay"
    assert len(settings.recordings) == 3
    assert "real EEG, replayed" in who


def test_the_demo_prints_its_rounds_and_writes_a_report(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "brainloop", "demo", "--out", str(tmp_path)],
        capture_output=True, text=True, check=True, env=os.environ | {"BRAINLOOP_SHARED": str(tmp_path)},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Who looks: a simulated person")
    rounds = [line for line in lines if re.match(r" +\d+ +\d+ ", line)]
    assert len(rounds) > 2
    assert float(rounds[-1].split()[-3]) > 0.9
    assert (tmp_path / "study-001" / "reports" / "report.html").stat().st_size > 100_000
