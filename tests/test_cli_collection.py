import csv

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from brainloop.classifier.features import Projection
from brainloop.classifier.head import train_head
from brainloop.cli import app
from brainloop.collection import Collection
from brainloop.errors import StudyError
from brainloop.prediction import predict
from brainloop.study import Study


@pytest.fixture(scope="module")
def study(photographs, tmp_path_factory):
    """A study with a head, trained without its loop: ranking needs no more of it."""
    study = Study.create(tmp_path_factory.mktemp("study") / "s", images=str(photographs), target="rose")
    data = study.data()
    features = Projection.fit(data.pool, 32)
    features.save(study.models.path("features"))
    evidence = np.where(data.truth["rose"], 3.0, -3.0)
    train_head(features(data.pool), evidence).save(study.models.path("head-001"))
    return study


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_collect_then_rank_lists_what_predict_finds(study, photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(Study, "head", lambda _: train_head_of(study))
    said = run("collect", photographs, tmp_path / "c", "--precision", "float32")
    assert said.exit_code == 0
    assert "160 images, 160 of them new" in said.output
    assert "160 images, 0 of them new" in run("collect", photographs, tmp_path / "c", "--precision", "float32").output
    wanted = sorted(predict(study, photographs)[0], key=lambda one: -one.log_odds)
    assert run("rank", study.folder, tmp_path / "c", "--out", tmp_path / "top.csv", "--top", 40).exit_code == 0
    with (tmp_path / "top.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [one.path for one in wanted[:40]]
    np.testing.assert_allclose([float(row["log_odds"]) for row in rows], [o.log_odds for o in wanted[:40]], atol=1e-4)
    np.testing.assert_allclose(
        [float(row["probability"]) for row in rows], [one.probability for one in wanted[:40]], atol=1e-4
    )
    run("rank", study.folder, tmp_path / "c", "--out", tmp_path / "top.parquet", "--top", 5, "--by", "unsure")
    unsure = pq.read_table(tmp_path / "top.parquet").to_pylist()
    assert [row["path"] for row in unsure] == [o.path for o in sorted(wanted, key=lambda one: abs(one.log_odds))[:5]]
    assert unsure[0]["hash"] in {image.hash for image in Collection.open(tmp_path / "c").rows_of(np.arange(160))}


def train_head_of(study):
    from brainloop.classifier.heads import load_head

    return load_head(study.models.path("head-001"))


def test_rank_refuses_the_vectors_of_another_backbone(study, photographs, tmp_path, monkeypatch):
    from brainloop.collection.collection import Manifest
    from brainloop.collection.place import Place

    place = Place(str(tmp_path / "c"))
    Manifest(str(photographs), "other", None, "abc", 3, "float16").save(place)
    with pytest.raises(StudyError, match="collect the images with --backbone builtin"):
        run("rank", study.folder, tmp_path / "c", "--out", tmp_path / "top.csv")


def test_collect_lists_what_it_skips(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "images" / "a.png")
    (tmp_path / "images" / "b.txt").write_text("no image", encoding="utf-8")
    said = run("collect", tmp_path / "images", tmp_path / "c")
    assert "b.txt: not an image" in said.output
