"""Collections in an object store: real requests to a real server."""

import numpy as np
import pytest
from PIL import Image as Pillow

from brainloop.classifier.features import Projection
from brainloop.classifier.head import train_head
from brainloop.collection import Collection, embed_collection, place, rank, scan_collection
from brainloop.engine import LocalEngine
from brainloop.errors import StudyError
from brainloop.images.backbones import load_backbone

BACKBONE = load_backbone("builtin")


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(12):
        path = tmp_path / "pictures" / ("rose" if number % 3 == 0 else "sky") / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)
    return tmp_path / "pictures"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(place, "PAUSES", (0.01, 0.02, 0.04))


def collected(url, root):
    scan_collection(url, root, BACKBONE, shard_rows=5)
    embed_collection(Collection.open(url), LocalEngine(2), backbone=BACKBONE)
    return Collection.open(url)


def ranked(collection):
    vectors = collection.vectors(np.arange(collection.n_images)).astype(np.float64)
    order = np.argsort([image.path for image in collection.rows_of(np.arange(len(vectors)))])
    features = Projection.fit(vectors[order], 8)
    head = train_head(features(vectors[order]), np.random.default_rng(0).normal(size=len(vectors)) * 3)
    ranking = rank(collection, features, head, n_surest=100)
    paths = [image.path for image in collection.rows_of(ranking.surest)]
    return paths, ranking.surest_log_odds


@pytest.fixture
def here(pictures, tmp_path):
    return ranked(collected(tmp_path / "here", pictures))


def test_an_object_store_holds_what_a_folder_would(network, pictures, here):
    import fsspec

    fsspec.filesystem("s3").put(str(pictures), "lab/pictures", recursive=True)
    for root in (pictures, "s3://lab/pictures"):
        url = f"s3://lab/{'afar' if root == pictures else 'both'}"
        collection = collected(url, root)
        paths, log_odds = ranked(collection)
        assert paths == here[0]
        np.testing.assert_allclose(log_odds, here[1], atol=1e-5)
        again = scan_collection(url, root, BACKBONE, shard_rows=5)
        assert (again.n_new, again.n_known) == (0, 12)
        image = collection.rows_of(np.array([6]))[0]
        assert collection.open_image(image) == (pictures / image.path).read_bytes()


def test_requests_that_are_lost_are_made_again(network, pictures, here):
    network.fails = lambda number, *_: number % 4 == 0
    paths, log_odds = ranked(collected("s3://lab/c", pictures))
    assert network.lost > 5
    assert paths == here[0]
    np.testing.assert_allclose(log_odds, here[1], atol=1e-5)


def test_a_store_that_fails_half_way_is_named_and_the_next_run_goes_on(network, pictures, here):
    scan_collection("s3://lab/c", pictures, BACKBONE, shard_rows=5)
    network.fails = lambda _, method, path: method == "PUT" and "vectors/00001" in path
    with pytest.raises(StudyError, match=r"writing s3://lab/c/vectors/00001\.npy failed 4 times.*go on from there"):
        embed_collection(Collection.open("s3://lab/c"), LocalEngine(1), backbone=BACKBONE)
    network.fails = lambda *_: False
    assert Collection.open("s3://lab/c").shard(0).fault() is None
    assert Collection.open("s3://lab/c").shard(1).fault() == "it is not there"
    seen = []
    embed_collection(
        Collection.open("s3://lab/c"), LocalEngine(1), backbone=BACKBONE, progress=lambda *call: seen.append(call)
    )
    assert seen[-1][1] < 3
    assert ranked(Collection.open("s3://lab/c"))[0] == here[0]


def test_a_shard_cut_short_in_the_store_is_named_and_embedded_again(network, pictures, here):
    import fsspec

    collected("s3://lab/c", pictures)
    s3 = fsspec.filesystem("s3")
    s3.pipe_file("lab/c/vectors/00001.npy", s3.cat_file("lab/c/vectors/00001.npy")[:-10])
    with pytest.raises(StudyError, match=r"s3://lab/c/vectors/00001\.npy, but it has .* cut short"):
        ranked(Collection.open("s3://lab/c"))
    assert ranked(collected("s3://lab/c", pictures))[0] == here[0]


def test_a_store_that_never_answers_is_named(network):
    network.fails = lambda *_: True
    with pytest.raises(StudyError, match=r"reading s3://lab/c/collection\.json failed 4 times"):
        Collection.open("s3://lab/c")
