import numpy as np
import onnxruntime
import pytest

from brainloop.classifier.features import Nystroem, Projection
from brainloop.classifier.head import train_head
from brainloop.classifier.mlp import train_mlp
from brainloop.exports.onnx_after import after
from brainloop.exports.onnx_text import Network


def session(model):
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def network(**values):
    return Network(**({"opset": 13, "ir_version": 8, "batch": 1, "half": False, "shape": (1, 24)} | values))


@pytest.mark.parametrize("n_classes", [1, 3])
@pytest.mark.parametrize("regularisation", ["laplace", "cross_validation"])
@pytest.mark.parametrize("train", [train_head, train_mlp])
@pytest.mark.parametrize("kind", [Projection, Nystroem])
def test_features_and_every_kind_of_head_are_ours_to_a_hundred_thousandth(kind, train, regularisation, n_classes):
    rng = np.random.default_rng(1)
    pool = rng.normal(size=(90, 24)).astype(np.float32)
    evidence = rng.normal(size=(60, n_classes)) * 2 + pool[:60, :n_classes]
    feature_map = kind.fit(pool, 12)
    features = feature_map(pool)
    head = train(features[:60], evidence[:, 0] if n_classes == 1 else evidence, regularisation=regularisation)
    graph = session(after(feature_map, head, network(), rounded=False, n_outputs=n_classes))
    for row in (*range(60, 90), None):
        vector = np.zeros((1, 24), dtype=np.float32) if row is None else pool[[row]]
        probability, log_odds = graph.run(["probability", "log_odds"], {"raw": vector})
        assert probability.shape == log_odds.shape == (n_classes,)
        ours = feature_map(vector)
        np.testing.assert_allclose(probability, head.probability(ours).reshape(-1), atol=1e-5)
        np.testing.assert_allclose(log_odds, head.log_odds(ours).reshape(-1), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "pooled"),
    [
        ((2, 24), lambda raw: raw[0]),
        ((2, 16, 24), lambda raw: raw[0].mean(axis=0)),  # a grid of patches
        ((2, 17, 24), lambda raw: raw[0, 0]),  # a class token before them
        ((2, 24, 3, 5), lambda raw: raw[0].mean(axis=(1, 2))),
    ],
)
@pytest.mark.parametrize("half", [False, True])
def test_of_tokens_and_maps_one_vector_is_made_as_ours_is(shape, pooled, half):
    rng = np.random.default_rng(2)
    pool = rng.normal(size=(50, 24)).astype(np.float32)
    feature_map = Projection.fit(pool, 8)
    head = train_head(feature_map(pool), rng.normal(size=50))
    raw = rng.normal(size=shape).astype(np.float16 if half else np.float32)
    graph = session(after(feature_map, head, network(batch=2, half=half, shape=shape), rounded=False, n_outputs=1))
    (log_odds,) = graph.run(["log_odds"], {"raw": raw})
    vector = pooled(raw.astype(np.float32))[np.newaxis]
    np.testing.assert_allclose(log_odds, head.log_odds(feature_map(vector)), atol=1e-5)


def test_vectors_that_the_study_keeps_as_float16_are_rounded_in_the_graph_too():
    rng = np.random.default_rng(3)
    pool = rng.normal(size=(50, 24)).astype(np.float32)
    feature_map = Projection.fit(pool, 8)
    head = train_head(feature_map(pool), 3 * rng.normal(size=50))
    (log_odds,) = session(after(feature_map, head, network(), rounded=True, n_outputs=1)).run(
        ["log_odds"], {"raw": pool[:1]}
    )
    rounded = pool[:1].astype(np.float16).astype(np.float32)
    np.testing.assert_allclose(log_odds, head.log_odds(feature_map(rounded)), atol=1e-6)
