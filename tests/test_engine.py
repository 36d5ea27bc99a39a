"""One contract for every engine: threads here, and two Ray nodes on this machine."""

import numpy as np
import pytest

from brainloop.classifier.features import Nystroem
from brainloop.classifier.head import train_head
from brainloop.collection import Collection, embed_collection, rank, scan_collection
from brainloop.engine import LocalEngine, RayEngine, make_engine
from brainloop.errors import ImageError, MissingExtraError, SettingsError, StudyError
from brainloop.images.backbones import load_backbone


@pytest.fixture(scope="module")
def two_nodes():
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    engine = RayEngine(cluster.address)
    yield engine
    engine.close()
    cluster.shutdown()


@pytest.fixture(params=["local", "ray"])
def engine(request):
    return LocalEngine(3) if request.param == "local" else request.getfixturevalue("two_nodes")


def make_square():
    def square(item):
        if item == 13:
            raise ImageError("13 is not squared here")
        if item == 14:
            raise MissingExtraError("thirteen", "bench", "squaring")
        return {"item": item, "rows": np.arange(item) ** 2}

    return square


def test_every_item_has_one_result_whatever_its_order(engine):
    seen = []
    results = list(engine.map(make_square, range(10), lambda *call: seen.append(call)))
    assert sorted(result["item"] for result in results) == list(range(10))
    for result in results:
        np.testing.assert_array_equal(result["rows"], np.arange(result["item"]) ** 2)
    assert seen == [(done, 10) for done in range(1, 11)]
    assert list(engine.map(make_square, [])) == []


def test_an_error_of_a_worker_comes_back_as_it_was(engine):
    with pytest.raises(ImageError, match=r"^13 is not squared here$"):
        list(engine.map(make_square, [1, 13]))
    with pytest.raises(MissingExtraError, match=r"^squaring needs the package 'thirteen'.*\[bench\]'$"):
        list(engine.map(make_square, [14]))


def test_two_ray_nodes_embed_and_rank_as_threads_do(two_nodes, photographs, tmp_path):
    backbone = load_backbone("builtin")
    for name, engine in (("here", LocalEngine(2)), ("ray", two_nodes)):
        scan_collection(tmp_path / name, photographs, backbone, shard_rows=50)
        embed_collection(Collection.open(tmp_path / name), engine)
    here, there = (Collection.open(tmp_path / name) for name in ("here", "ray"))
    for number in range(4):
        shards = [tmp_path / name / "vectors" / f"{number:05d}.npy" for name in ("here", "ray")]
        assert shards[0].read_bytes() == shards[1].read_bytes()
    vectors = here.vectors(np.arange(160))
    features = Nystroem.fit(vectors, 32)
    head = train_head(features(vectors), np.random.default_rng(0).normal(size=160) * 3)
    one = rank(here, features, head, LocalEngine(2), n_unsure=20, n_surest=160)
    two = rank(there, features, head, two_nodes, n_unsure=20, n_surest=160)
    assert one.unsure.tolist() == two.unsure.tolist()
    assert one.surest.tolist() == two.surest.tolist()
    np.testing.assert_allclose(one.surest_log_odds, two.surest_log_odds, atol=1e-5)
    path = tmp_path / "ray" / "vectors" / "00002.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StudyError, match=r"00002\.npy, but it has .* cut short"):
        rank(there, features, head, two_nodes, n_surest=1)


def test_what_an_engine_cannot_do_is_refused():
    with pytest.raises(SettingsError, match="expected one of local, ray; 'cloud' came"):
        make_engine("cloud")
    with pytest.raises(SettingsError, match="add --engine ray"):
        make_engine("local", "10.0.0.1:6379")
    with pytest.raises(SettingsError, match="workers: expected 1 or more; 0 came"):
        make_engine("local", workers=0)


def test_a_cluster_that_does_not_answer_is_named():
    with pytest.raises(StudyError, match=r"expected Ray at 127\.0\.0\.1:1"):
        list(RayEngine("127.0.0.1:1").map(make_square, [1]))
