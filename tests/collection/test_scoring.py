import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brainloop.classifier.features import Nystroem, Projection
from brainloop.classifier.head import train_head
from brainloop.classifier.mlp import train_mlp
from brainloop.collection.scoring import Scorer, widen
from brainloop.collection.top import Top

RNG = np.random.default_rng(0)
VECTORS = (RNG.normal(size=(3000, 40)) + RNG.normal(size=40)).astype(np.float16)


def evidence(n_classes=None):
    truth = VECTORS[:300, 0] > 1
    noise = np.random.default_rng(1).normal(size=300)
    if n_classes is None:
        return 3.0 * (truth - 0.5) + noise
    return np.random.default_rng(1).normal(size=(300, n_classes)) + np.eye(n_classes)[truth.astype(int)]


@pytest.mark.parametrize("n_classes", [None, 3])
@pytest.mark.parametrize("train", [train_head, train_mlp])
@pytest.mark.parametrize("kind", [Projection, Nystroem])
def test_scores_are_what_features_and_head_give(kind, train, n_classes):
    wide = VECTORS.astype(np.float64)
    features = kind.fit(wide, 32)
    head = train(features(wide[:300]), evidence(n_classes))
    wanted = head.log_odds(features(wide))
    np.testing.assert_allclose(Scorer(features, head)(VECTORS), wanted, atol=1e-5)
    np.testing.assert_allclose(Scorer(features, head)(VECTORS.astype(np.float32)), wanted, atol=1e-5)


def test_a_vector_of_zeros_has_the_score_that_features_and_head_give():
    wide = VECTORS.astype(np.float64)
    features = Nystroem.fit(wide, 32)
    head = train_head(features(wide[:300]), evidence())
    rows = VECTORS[:5].copy()
    rows[2] = 0
    np.testing.assert_allclose(Scorer(features, head)(rows), head.log_odds(features(rows.astype(float))), atol=1e-5)


def test_rows_that_are_no_numbers_have_no_score_and_spoil_no_other():
    wide = VECTORS.astype(np.float64)
    for kind in (Projection, Nystroem):
        features = kind.fit(wide, 32)
        score = Scorer(features, train_head(features(wide[:300]), evidence()))
        rows = VECTORS[:600].copy()
        rows[7] = np.nan
        rows[500, 3] = np.inf
        good = np.setdiff1d(np.arange(600), [7, 500])
        scores = score(rows)
        assert not np.isfinite(scores[[7, 500]]).any()
        np.testing.assert_array_equal(scores[good], score(VECTORS[:600])[good])


def test_every_number_of_half_precision_is_widened_exactly():
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    for numbers in (every[np.isfinite(every)].reshape(-1, 4), every.reshape(-1, 4), every.reshape(4, -1).T):
        out, bits = np.empty(numbers.shape, np.float32), np.empty(numbers.shape, np.int16)
        widen(numbers, out, bits)
        np.testing.assert_array_equal(out, numbers.astype(np.float32))


@given(
    keys=arrays(np.float64, st.integers(0, 60), elements=st.sampled_from([0.0, 1.0, 2.5, np.nan, np.inf, -3.0])),
    k=st.integers(0, 12),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    seed=st.integers(0, 100),
)
def test_the_top_of_a_stream_is_that_of_a_sort_whatever_its_order(keys, k, cuts, seed):
    rows = np.arange(len(keys))
    wanted = sorted((key, row) for key, row in zip(keys, rows, strict=True) if np.isfinite(key))[:k]
    parts = np.split(rows, np.sort(np.minimum(cuts, len(keys))))
    top = Top.of(k)
    for number in np.random.default_rng(seed).permutation(len(parts)):
        part = parts[number]
        top = top.merged(Top.of(k).with_more(keys[part], part, keys[part] * 2))
    assert list(zip(top.keys, top.rows, strict=True)) == wanted
    np.testing.assert_array_equal(top.values, top.keys * 2)
