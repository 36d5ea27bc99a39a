import json
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as Pillow

from brainloop.classifier.features import Nystroem, Projection
from brainloop.classifier.head import train_head
from brainloop.collection import Collection, embed_collection, rank, scan_collection
from brainloop.engine import LocalEngine
from brainloop.errors import BackboneError, ImageError, SettingsError, StudyError
from brainloop.images.backbones import load_backbone
from brainloop.images.embeddings import embed
from brainloop.images.pool import scan

BACKBONE = load_backbone("builtin")


@pytest.fixture
def pictures(tmp_path):
    """A folder of 25 images in two classes, a copy of one and a file of text."""
    rng = np.random.default_rng(0)
    for number in range(25):
        draw(tmp_path / "pictures" / ("rose" if number % 5 == 0 else "sky") / f"{number:02d}.png", rng)
    first = tmp_path / "pictures" / "rose" / "00.png"
    (tmp_path / "pictures" / "sky" / "copy.png").write_bytes(first.read_bytes())
    (tmp_path / "pictures" / "notes.txt").write_text("not an image", encoding="utf-8")
    return tmp_path / "pictures"


def draw(path, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)


def collected(url, pictures, **more):
    found = scan_collection(url, pictures, BACKBONE, shard_rows=8, **more)
    failed = embed_collection(Collection.open(url), LocalEngine(2), backbone=BACKBONE)
    return Collection.open(url), found, failed


def test_a_collection_holds_every_image_once_with_the_vector_that_embedding_gives(pictures, tmp_path):
    collection, found, failed = collected(tmp_path / "c", pictures, dtype="float32")
    pool = scan(pictures)
    assert (found.n_new, found.n_known, found.n_skipped, failed) == (25, 0, 2, [])
    reasons = {item.path: item.reason for item in found.skipped}
    assert reasons.pop("notes.txt").startswith("not an image")
    assert reasons in ({"sky/copy.png": "duplicate of rose/00.png"}, {"rose/00.png": "duplicate of sky/copy.png"})
    assert collection.manifest.shards == (8, 8, 8, 1)
    images = collection.rows_of(np.arange(25))
    assert {image.hash for image in images} == set(pool.hashes)
    assert {image.label for image in images} == {"rose", "sky"}
    wanted = embed(pool.images, pool.root, BACKBONE, tmp_path / "cache").rows(image.hash for image in images)
    np.testing.assert_array_equal(collection.vectors(np.arange(25)), wanted)
    np.testing.assert_array_equal(collection.vectors(np.array([24, 3, 3, 9])), wanted[[24, 3, 3, 9]])
    assert collection.rows_of(np.array([24, 3])) == [images[24], images[3]]
    assert not list((tmp_path / "c" / "parts").iterdir())


def test_what_is_known_is_not_read_again_and_new_images_get_shards_of_their_own(pictures, tmp_path):
    before, _, _ = collected(tmp_path / "c", pictures)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "c").rglob("*.npy")}
    again, found, _ = collected(tmp_path / "c", pictures)
    assert (found.n_new, found.n_known, found.n_skipped) == (0, 27, 0)
    assert again == before
    draw(pictures / "rose" / "new.png", np.random.default_rng(5))
    after, found, _ = collected(tmp_path / "c", pictures)
    assert (found.n_new, found.n_known) == (1, 27)
    assert after.manifest.shards == (8, 8, 8, 1, 1)
    assert after.rows_of(np.array([25]))[0].path == "rose/new.png"
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


def test_a_file_that_changed_has_a_new_row_and_its_old_one_counts_no_more(pictures, tmp_path):
    before, _, _ = collected(tmp_path / "c", pictures)
    images = before.rows_of(np.arange(25))
    row = next(row for row, image in enumerate(images) if image.path == "sky/13.png")
    draw(pictures / "sky" / "13.png", np.random.default_rng(9))
    collection, found, _ = collected(tmp_path / "c", pictures)
    assert found.n_new == 1
    assert collection.dropped().tolist() == [row]
    ranking = rank(collection, *classifier(collection), n_surest=100)
    assert sorted(ranking.surest.tolist()) == [other for other in range(26) if other != row]
    assert (ranking.n, ranking.n_left_out) == (25, 1)
    with pytest.raises(ImageError, match="changed since it was scanned"):
        collection.open_image(images[row])
    _, found, _ = collected(tmp_path / "c", pictures)
    assert (found.n_new, found.n_known) == (0, 27)


def test_an_image_that_cannot_be_decoded_has_a_row_of_nan_and_its_reason(pictures, tmp_path):
    jpeg = pictures / "sky" / "cut.jpg"
    Pillow.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(jpeg)
    jpeg.write_bytes(jpeg.read_bytes()[:-500])
    collection, _, failed = collected(tmp_path / "c", pictures)
    assert [(item.path, item.reason.split(":")[0]) for item in failed] == [("sky/cut.jpg", "truncated")]
    bad = np.flatnonzero(np.isnan(collection.vectors(np.arange(26))).any(axis=1))
    assert [image.path for image in collection.rows_of(bad)] == ["sky/cut.jpg"]
    ranking = rank(collection, *classifier(collection), n_unsure=100)
    assert bad[0] not in ranking.unsure
    assert (ranking.n, ranking.n_left_out) == (25, 1)


@pytest.mark.parametrize("damage", ["cut", "emptied", "removed", "header"])
def test_a_damaged_shard_is_named_and_embedded_again(pictures, tmp_path, damage):
    collection, _, _ = collected(tmp_path / "c", pictures)
    before = collection.vectors(np.arange(25))
    path = tmp_path / "c" / "vectors" / "00001.npy"
    data = path.read_bytes()
    changed = {"cut": data[:-100], "emptied": b"", "header": b"x" * 200 + data[200:]}
    path.unlink() if damage == "removed" else path.write_bytes(changed[damage])
    with pytest.raises(StudyError, match=r"00001\.npy, but it .* embeds this shard anew"):
        rank(collection, *classifier(before), n_surest=3)
    collection, _, _ = collected(tmp_path / "c", pictures)
    np.testing.assert_array_equal(collection.vectors(np.arange(25)), before)


def test_a_kill_while_embedding_costs_nothing_but_time(pictures, tmp_path):
    rng = np.random.default_rng(3)
    for number in range(1500):
        draw(pictures / "more" / f"{number}.png", rng)
    script = (
        "import sys\nfrom brainloop.collection import *\nfrom brainloop.images.backbones import load_backbone\n"
        "scan_collection(sys.argv[1], sys.argv[2], load_backbone('builtin'))\n"
        "embed_collection(Collection.open(sys.argv[1]))\n"
    )
    url = tmp_path / "c"
    process = subprocess.Popen([sys.executable, "-c", script, str(url), str(pictures)])
    while process.poll() is None and not list(url.glob("parts/*.npy")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in url.glob("parts/*.npy")}
    assert kept
    assert not list(url.glob("vectors/*.npy"))
    seen = []
    embed_collection(Collection.open(url), LocalEngine(1), progress=lambda *call: seen.append(call))
    assert seen[-1] == (3, 3)
    images = Collection.open(url).rows_of(np.arange(1525))
    wanted = embed(images, pictures, BACKBONE, tmp_path / "cache", dtype="float16").rows(i.hash for i in images)
    np.testing.assert_array_equal(Collection.open(url).vectors(np.arange(1525)), wanted)


def classifier(collection, kind=Projection):
    vectors = collection if isinstance(collection, np.ndarray) else collection.vectors(np.arange(collection.n_images))
    vectors = vectors[np.isfinite(vectors).all(axis=1)].astype(np.float64)
    features = kind.fit(vectors, 16)
    return features, train_head(features(vectors), np.random.default_rng(0).normal(size=len(vectors)) * 3)


@pytest.mark.parametrize("kind", [Projection, Nystroem])
def test_ranking_is_that_of_a_sort_of_all_log_odds(pictures, tmp_path, kind):
    collection, _, _ = collected(tmp_path / "c", pictures)
    features, head = classifier(collection, kind)
    z = head.log_odds(features(collection.vectors(np.arange(25)).astype(np.float64)))
    ranking = rank(collection, features, head, LocalEngine(3), n_unsure=7, n_surest=30)
    assert ranking.unsure.tolist() == np.argsort(np.abs(z), kind="stable")[:7].tolist()
    assert ranking.surest.tolist() == np.argsort(-z, kind="stable").tolist()
    np.testing.assert_allclose(ranking.surest_log_odds, np.sort(z)[::-1], atol=1e-5)
    np.testing.assert_allclose(ranking.unsure_log_odds, z[ranking.unsure], atol=1e-5)


def test_of_several_classes_confidence_ranks(pictures, tmp_path):
    collection, _, _ = collected(tmp_path / "c", pictures)
    vectors = collection.vectors(np.arange(25)).astype(np.float64)
    features = Projection.fit(vectors, 16)
    head = train_head(features(vectors), np.random.default_rng(0).normal(size=(25, 3)) * 3)
    p = np.exp(head.log_odds(features(vectors)))
    p /= p.sum(axis=1, keepdims=True)
    ranking = rank(collection, features, head, n_unsure=0, n_surest=25)
    assert ranking.surest.tolist() == np.argsort(-p.max(axis=1)).tolist()
    of_second = rank(collection, features, head, n_surest=25, of_class=1)
    assert of_second.surest.tolist() == np.argsort(-p[:, 1]).tolist()


def test_parquet_that_others_wrote_is_a_collection(tmp_path):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 6)).astype(np.float32)
    for number, kind in enumerate((pa.list_(pa.float32(), 6), pa.list_(pa.float32()))):
        part = vectors[number * 25 : number * 25 + 25]
        columns = {"id": [f"i{number}-{row}" for row in range(25)], "vector": pa.array(part.tolist(), kind)}
        pq.write_table(pa.table(columns), tmp_path / f"{number}.parquet")
    collection = Collection.open(tmp_path)
    assert (collection.n_images, collection.width, collection.fingerprint) == (50, 6, "")
    np.testing.assert_array_equal(collection.vectors(np.array([30, 2])), vectors[[30, 2]])
    assert [image.path for image in collection.rows_of(np.array([30, 2]))] == ["i1-5", "i0-2"]
    features, head = classifier(vectors)
    z = head.log_odds(features(vectors.astype(np.float64)))
    assert rank(collection, features, head, n_surest=5).surest.tolist() == np.argsort(-z)[:5].tolist()


def test_an_image_is_fetched_under_the_name_of_its_content(pictures, tmp_path):
    collection, _, _ = collected(tmp_path / "c", pictures)
    image = collection.rows_of(np.array([4]))[0]
    path = collection.fetch(image, tmp_path / "here")
    assert path == tmp_path / "here" / f"{image.hash}.png"
    assert path.read_bytes() == (pictures / image.path).read_bytes()
    (pictures / image.path).unlink()
    assert collection.fetch(image, tmp_path / "here") == path
    with pytest.raises(ImageError, match="vanished"):
        collection.fetch(image, tmp_path / "elsewhere")


def test_a_collection_of_other_images_or_of_another_backbone_is_refused(pictures, tmp_path):
    collected(tmp_path / "c", pictures)
    with pytest.raises(StudyError, match="is a collection of the images"):
        scan_collection(tmp_path / "c", pictures / "rose", BACKBONE)
    with pytest.raises(StudyError, match="precision float16"):
        scan_collection(tmp_path / "c", pictures, BACKBONE, dtype="float32")
    manifest = json.loads((tmp_path / "c" / "collection.json").read_text())
    (tmp_path / "c" / "collection.json").write_text(json.dumps(manifest | {"fingerprint": "another"}))
    with pytest.raises(StudyError, match="collection of the backbone"):
        scan_collection(tmp_path / "c", pictures, BACKBONE)
    (tmp_path / "c" / "vectors" / "00000.npy").unlink()
    with pytest.raises(BackboneError, match="not the one that the collection was begun with"):
        embed_collection(Collection.open(tmp_path / "c"))


def test_what_is_no_collection_says_what_was_expected(tmp_path):
    with pytest.raises(StudyError, match="brainloop collect IMAGES"):
        Collection.open(tmp_path)
    with pytest.raises(ImageError, match="expected a folder of images"):
        scan_collection(tmp_path / "c", tmp_path / "nowhere", BACKBONE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="no usable image"):
        scan_collection(tmp_path / "c", tmp_path / "empty", BACKBONE)
    (tmp_path / "collection.json").write_text("{")
    with pytest.raises(StudyError, match=r"collection\.json .* cannot be read"):
        Collection.open(tmp_path)


def test_rows_that_are_not_there_are_refused(pictures, tmp_path):
    collection, _, _ = collected(tmp_path / "c", pictures)
    with pytest.raises(SettingsError, match="expected 0 to 24"):
        collection.rows_of(np.array([3, 25]))
    with pytest.raises(StudyError, match="expected vectors of width 7"):
        rank(collection, Projection(np.zeros(7), np.zeros((7, 16))), classifier(collection)[1])
