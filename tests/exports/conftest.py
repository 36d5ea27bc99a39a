"""Studies to export: small ones whose viewer is scripted, and real ones of photographs with a recording replayed."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from brainloop.loop import run
from brainloop.presentation.block import Response
from brainloop.study import Study

# Hugging Face's datasets would ask its hub otherwise.
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"

CLASSES = ("roses", "tulips", "daisy")


class Viewer:
    """An observer who tells the truth with noise; every fifth epoch is rejected."""

    soa = 0.2

    def __init__(self, truth):
        self._truth = truth
        self.facts = {"observer": "live", "recordings": []}

    def respond(self, block, start=0):
        score = np.random.default_rng(block.number).normal(size=len(block.images))
        score += 2.0 * self._truth[block.target][list(block.images)]
        for k in range(start, len(block.images)):
            lost = k % 5 == 0
            yield Response(
                float("nan") if lost else score[k], 0.0 if lost else 2 * score[k] - 2, "gap" if lost else None,
                block.onsets[k], f"Ada/1#{k}", "Ada", "1",
            )  # fmt: skip

    def recall(self, blocks):
        pass

    def erps(self):
        return {}


@pytest.fixture(scope="session")
def scripted(tmp_path_factory, photographs) -> Study:
    """Two rounds with `Viewer`, on the builtin backbone, and a made-up recording."""
    study = Study.create(
        tmp_path_factory.mktemp("scripted") / "study", images=photographs, target="rose", observer="live",
        looks_per_round=30, max_looks=60,
    )  # fmt: skip
    list(run(study, Viewer(study.data().truth)))
    subject = study.folder / "recordings" / "sub-Ada" / "eeg"
    subject.mkdir(parents=True)
    (subject / "sub-Ada_eeg.eeg").write_bytes(bytes(1000))
    return study


@pytest.fixture(scope="session")
def backbone(shared) -> Path:
    return shared / "backbones" / "mobilenetv2_100"


@pytest.fixture(scope="session")
def flowers(tmp_path_factory, shared) -> Path:
    """Real photographs, 30 a class, one of them twice as high as wide."""
    folder = tmp_path_factory.mktemp("flowers")
    for name in CLASSES:
        (folder / name).mkdir()
        for file in sorted((shared / "data" / "images" / "flower_photos" / name).glob("*.jpg"))[:30]:
            shutil.copy(file, folder / name)
    return folder


@pytest.fixture(scope="session")
def make_real(tmp_path_factory, flowers, backbone, shared):
    """Run a study on the photographs, with a real recording replayed."""

    def make(**values) -> Study:
        study = Study.create(
            tmp_path_factory.mktemp("real") / "study", images=flowers, backbone=str(backbone), decoder="lda",
            recordings=(str(shared / "data/eeg/gtec-speller/sub-01_task-speller_eeg.fif"),),
            looks_per_round=40, max_looks=80, **values,
        )  # fmt: skip
        list(run(study))
        return study

    return make


@pytest.fixture(scope="session")
def roses(make_real) -> Study:
    return make_real(target="roses")


@pytest.fixture(scope="session")
def three(make_real) -> Study:
    return make_real(classes=CLASSES)


@pytest.fixture
def read_json():
    return lambda path: json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def viewer():
    return Viewer
