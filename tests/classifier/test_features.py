import numpy as np
import pytest
from sklearn.decomposition import PCA, KernelPCA
from sklearn.kernel_approximation import Nystroem as SklearnNystroem

from brainloop.classifier.features import FEATURES, Nystroem, Projection, load_features
from brainloop.errors import SettingsError, StudyError


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 40)) * np.linspace(3, 0.3, 40) + 1


def unit(X):
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def up_to_sign_and_scale(features, reference):
    features, reference = unit(features.T), unit(reference.T)
    return features * np.sign((features * reference).sum(axis=1))[:, None], reference


def test_the_projection_is_scikit_learns_pca_at_unit_mean_square_norm(pool):
    projected = Projection.fit(pool, 10)(pool)
    reference = PCA(10, svd_solver="full").fit_transform(pool)
    assert (projected**2).sum(axis=1).mean() == pytest.approx(1, rel=0.01)
    ratio = projected / reference
    np.testing.assert_allclose(ratio, ratio[0, 0] * np.sign(ratio[0] / ratio[0, 0]) * np.ones_like(ratio), rtol=1e-6)


def test_with_every_image_a_landmark_the_kernel_features_are_scikit_learns_kernel_pca(pool):
    kernel_features = Nystroem.fit(pool, 8, n_landmarks=len(pool))
    reference = KernelPCA(8, kernel="rbf", gamma=kernel_features.sharpness).fit(unit(pool))
    fresh = pool[::3] + np.random.default_rng(1).normal(size=(100, 40))
    for X in (pool, fresh):
        np.testing.assert_allclose(*up_to_sign_and_scale(kernel_features(X), reference.transform(unit(X))), atol=1e-4)


def test_the_kernel_features_span_scikit_learns_nystroem_approximation(pool):
    ours = Nystroem.fit(pool, 300, n_landmarks=60)
    reference = SklearnNystroem(kernel="rbf", gamma=ours.sharpness, n_components=60)
    reference.components_, reference.component_indices_ = ours.landmarks, np.arange(60)
    reference.fit(ours.landmarks)
    exact = reference.transform(unit(pool))
    exact -= exact.mean(axis=0)
    features = ours(pool)
    gram, exact_gram = features @ features.T, exact @ exact.T
    np.testing.assert_allclose(gram / np.trace(gram), exact_gram / np.trace(exact_gram), atol=1e-6)


def test_the_kernel_falls_to_one_over_e_at_the_median_distance(pool):
    landmarks = unit(pool)
    squared = ((landmarks[:, None] - landmarks) ** 2).sum(axis=-1)
    median = np.median(squared[np.triu_indices(len(pool), 1)])
    assert Nystroem.fit(pool, n_landmarks=len(pool)).sharpness == pytest.approx(1 / median)
    assert Nystroem.fit(pool, n_landmarks=len(pool), gamma=0.5).sharpness == pytest.approx(0.5 / median)


@pytest.mark.parametrize("kind", FEATURES)
def test_features_are_centred_of_unit_mean_square_norm_and_no_more_than_asked(pool, kind):
    fitted = FEATURES[kind].fit(pool, 12)
    features = fitted(pool)
    assert fitted.n_components == features.shape[1] == 12
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-6)
    assert (features**2).sum(axis=1).mean() == pytest.approx(1, rel=0.01)
    assert FEATURES[kind].fit(pool[:5], 12).n_components <= 5


@pytest.mark.parametrize("kind", FEATURES)
def test_single_precision_keeps_five_digits_and_stays_single(pool, kind):
    single = pool.astype(np.float32)
    fitted = FEATURES[kind].fit(single)
    assert fitted(single).dtype == np.float32
    np.testing.assert_allclose(fitted(single), fitted(single.astype(float)), atol=1e-5)


@pytest.mark.parametrize("kind", FEATURES)
def test_a_large_pool_is_mapped_as_its_images_one_by_one(pool, kind, monkeypatch):
    monkeypatch.setattr("brainloop.classifier.features.CHUNK", 7)
    fitted = FEATURES[kind].fit(pool)
    np.testing.assert_allclose(fitted(pool)[100:103], fitted(pool[100:103]), atol=1e-12)
    assert fitted(pool[:0]).shape == (0, fitted.n_components)


@pytest.mark.parametrize("kind", FEATURES)
def test_a_fit_on_part_of_a_large_pool_depends_on_the_seed_alone(pool, kind, monkeypatch):
    monkeypatch.setattr("brainloop.classifier.features.N_FITTED", 100)
    first, again, other = (FEATURES[kind].fit(pool, 4, seed=seed)(pool) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (first**2).sum(axis=1).mean() == pytest.approx(1, rel=0.3)


@pytest.mark.parametrize("kind", FEATURES)
@pytest.mark.parametrize("odd", ["all the same", "one of norm zero", "one image"])
def test_odd_pools_give_numbers(pool, kind, odd):
    X = {"all the same": np.ones((9, 5)), "one of norm zero": np.vstack([np.zeros(40), pool]), "one image": pool[:1]}
    X = X[odd]
    assert np.isfinite(FEATURES[kind].fit(X)(X)).all()


@pytest.mark.parametrize("n_landmarks", [0, 2001])
def test_too_many_landmarks_or_none_are_refused(pool, n_landmarks):
    with pytest.raises(SettingsError, match="n_landmarks: expected 1 to 2000"):
        Nystroem.fit(pool, n_landmarks=n_landmarks)


@pytest.mark.parametrize("kind", FEATURES)
def test_a_map_comes_back_from_disk_as_it_was(pool, kind, tmp_path):
    fitted = FEATURES[kind].fit(pool)
    fitted.save(tmp_path / "features.safetensors")
    for again in (
        FEATURES[kind].load(tmp_path / "features.safetensors"),
        load_features(tmp_path / "features.safetensors"),
    ):
        assert type(again) is FEATURES[kind]
        np.testing.assert_array_equal(again(pool), fitted(pool))


def test_a_missing_map_or_another_kind_of_model_is_named(tmp_path):
    from brainloop._files import save_tensors

    with pytest.raises(StudyError, match=r"features\.safetensors.*run the study again"):
        load_features(tmp_path / "features.safetensors")
    save_tensors(tmp_path / "features.safetensors", {"weight": np.ones(2)}, {"head": "linear"})
    with pytest.raises(StudyError, match=r"expected a feature map \(linear, kernel\)"):
        load_features(tmp_path / "features.safetensors")
