import json

import numpy as np
import pytest

from brainloop.bench import scale_index
from brainloop.bench.scale_index import INDEXES, K, bench_index, enlarged, exact, heads_of, recall


@pytest.fixture(scope="module")
def base():
    rng = np.random.default_rng(3)
    return np.maximum(rng.normal(size=(300, 24)) @ rng.normal(size=(24, 48)), 0).astype(np.float32)


@pytest.fixture(scope="module")
def rows(base):
    return enlarged(base, 5_000, np.random.default_rng(4))


def test_the_scan_finds_what_sorting_finds(rows, base):
    (weight, bias) = heads_of(base, 1, np.random.default_rng(0))[0]
    z = rows.astype(np.float64) @ weight + bias
    targets, unsure = exact(rows, weight, bias)
    assert np.sort(z[targets]) == pytest.approx(np.sort(z)[-K:], abs=1e-4)
    assert np.sort(np.abs(z[unsure])) == pytest.approx(np.sort(np.abs(z))[:K], abs=1e-4)


@pytest.mark.parametrize("n", [1, 7, K, K + 1])
def test_the_scan_takes_as_few_rows_as_there_are(rows, n):
    targets, unsure = exact(rows[:n], np.ones(rows.shape[1], dtype=np.float32))
    assert len(set(targets.tolist())) == len(set(unsure.tolist())) == min(n, K)


def test_rows_made_of_embeddings_lie_among_them(base, rows):
    assert rows.shape == (5_000, 48)
    assert rows.dtype == np.float16
    distance = ((rows[:200, None].astype(np.float32) - base) ** 2).sum(axis=2).min(axis=1)
    apart = ((base[:200, None] - base) ** 2).sum(axis=2)
    assert np.median(distance) < np.median(apart) / 2


@pytest.mark.parametrize("name", INDEXES)
def test_every_index_finds_the_largest_inner_products(name, rows, base):
    search, n_bytes = INDEXES[name](rows)
    assert n_bytes >= rows.nbytes
    found = [recall(search(1024, w), exact(rows, w)[0]) for w, _ in heads_of(base, 5, np.random.default_rng(1))]
    assert np.mean(found) > 0.8


def test_heads_take_some_rows_for_targets_and_most_for_none(base, rows):
    heads = heads_of(base, 5, np.random.default_rng(2))
    shares = [(rows.astype(np.float32) @ weight + bias > 0).mean() for weight, bias in heads]
    assert 0 < np.mean(shares) < 0.3


def test_recall_is_the_share_of_the_wanted_that_came():
    assert recall(np.array([1, 2, 3]), np.array([2, 3, 9, 10])) == 0.5


def test_the_bench_measures_every_index_at_every_size(base, monkeypatch):
    monkeypatch.setattr(scale_index, "N_QUERIES", 3)
    done = []
    found = bench_index((400, 800, 1600), base, progress=lambda *at: done.append(at))
    found = json.loads(json.dumps(found, allow_nan=False))
    assert done[-1] == (12, 12)
    assert [row["n"] for row in found["rows"]] == [400, 800, 1600]
    for row in found["rows"]:
        assert set(row["indexes"]) == set(INDEXES)
        assert row["indexes"]["faiss flat"]["target"]["recall"] > 0.99
    assert {one["rows"] for one in found["paper"]} == {10_000_000, 1_000_000_000}
    assert "scan" in found["growth"]
    (ten, billion) = found["paper"]
    assert ten["scan_s"] == pytest.approx(found["rows"][-1]["scan_s"] * ten["rows"] / 1600, rel=2e-3)
    assert billion["indexes"]["usearch"]["build_s"] is None


def test_both_ends_of_a_head_are_not_its_hyperplane():
    """A cloud of points about the hyperplane: what an index finds on either side is none of the unsure."""
    rows = np.random.default_rng(5).normal(size=(4_000, 16)).astype(np.float16)
    weight = np.ones(16, dtype=np.float32)
    search, _ = INDEXES["faiss flat"](rows)
    assert recall(scale_index._either_side(search, weight), exact(rows, weight)[1]) == 0
