"""A study that draws from a collection: 1,797 digits stand for millions of photographs."""

import numpy as np
import pytest

from brainloop.cli import app
from brainloop.collection import Collection, embed_collection, scan_collection
from brainloop.demo import write_digits
from brainloop.drawing import draw_anew
from brainloop.engine import LocalEngine
from brainloop.errors import SettingsError, StudyError
from brainloop.images.backbones import load_backbone
from brainloop.loop import run
from brainloop.presentation.block import Response
from brainloop.study import Study


class Knower:
    soa = 0.2

    def __init__(self, study):
        self.truth, self.facts = study.data().truth["3"], {"observer": "knower", "recordings": []}

    def respond(self, block, start=0):
        for k in range(start, len(block.images)):
            yield Response(
                1.0, 3.0 if self.truth[block.images[k]] else -3.0, None, 0.0, f"{block.number}.{k}", "me", "s"
            )

    def recall(self, blocks):
        pass

    def erps(self):
        return {}


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    images, url, backbone = write_digits(folder / "images"), str(folder / "collection"), load_backbone("builtin")
    scan_collection(url, str(images), backbone, spec="builtin", dtype="float16")
    opened = Collection.open(url)
    embed_collection(opened, LocalEngine(), backbone=backbone)
    return opened


@pytest.fixture
def study(tmp_path, collection):
    return Study.create(
        tmp_path / "study",
        images="",
        collection=collection.url,
        target="3",
        observer="own",
        working=400,
        max_looks=1000,
    )


def test_the_first_part_is_drawn_evenly_and_its_ids_are_rows_of_the_collection(study, collection):
    images = study.store.images()
    assert len(images) == 400
    rows = np.array([one.id for one in images])
    assert [one.hash for one in collection.rows_of(rows)] == [one.hash for one in images]
    assert abs(rows.mean() - collection.n_images / 2) < 100
    data = study.data()
    np.testing.assert_array_equal(data.pool, collection.vectors(data.ids))
    assert study.settings.images == collection.manifest.root
    assert study.image_path(images[0]).exists()


def test_a_drawing_keeps_what_was_looked_at_and_brings_what_the_classifier_is_least_sure_of(study, collection):
    list(run(study, Knower(study)))
    before = {one.id: one.part for one in study.store.images()}
    looked_at, head, test = set(study.store.looks().image.tolist()), study.head(), study.data().test
    drawn = draw_anew(study, LocalEngine())
    after = {one.id: one.part for one in study.store.images()}
    pool = {row for row, part in after.items() if part == "pool"}
    assert looked_at <= pool
    assert drawn.images == collection.n_images
    assert drawn.new == len(pool - {row for row, part in before.items() if part == "pool"}) > 0
    assert {row for row, part in after.items() if part == "test"} == {
        row for row, part in before.items() if part == "test"
    }
    rows = np.array([row for row in range(collection.n_images) if after.get(row) != "test"])
    z = head.log_odds(study.feature_map(study.data())(collection.vectors(rows)))
    least_sure = rows[np.argsort(np.abs(z), kind="stable")[:150]]
    assert set(least_sure.tolist()) <= pool  # the last of the 200 may be a matter of rounding
    np.testing.assert_array_equal(study.data().test, test)
    np.testing.assert_array_equal(study.data().ids, sorted(pool))


def test_a_study_that_was_sure_goes_on_after_a_drawing(study):
    first = list(run(study, Knower(study)))
    assert first[-1].converged
    assert list(run(study, Knower(study))) == []
    draw_anew(study, LocalEngine())
    again = list(run(study, Knower(study)))
    assert again[0].number == first[-1].number + 1
    assert again[-1].auc > 0.99


def test_a_study_opens_again_with_the_part_it_had(study):
    list(run(study, Knower(study)))
    draw_anew(study, LocalEngine())
    ids = study.data().ids
    np.testing.assert_array_equal(Study.open(study.folder).data().ids, ids)


def test_only_a_study_of_a_collection_can_draw(tmp_path, photographs):
    study = Study.create(tmp_path / "study", images=photographs, target="rose")
    with pytest.raises(StudyError, match="whole"):
        draw_anew(study, LocalEngine())


def test_a_backbone_that_is_not_the_collections_is_refused(tmp_path, collection):
    with pytest.raises(SettingsError, match="embedded by builtin"):
        Study.create(tmp_path / "study", images="", collection=collection.url, target="3", backbone="timm:resnet18")


def test_a_new_study_takes_a_collection_where_it_takes_a_folder(tmp_path, collection):
    from typer.testing import CliRunner

    made = CliRunner().invoke(app, ["new", str(tmp_path / "s"), collection.url, "--target", "3", "--max-looks", "60"])
    assert made.exit_code == 0, made.output
    assert Study.open(tmp_path / "s").settings.collection == collection.url
