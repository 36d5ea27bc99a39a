import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from brainloop.bench import scale_people
from brainloop.bench.scale_people import bench_people, predicted_auc, study_of_four


def test_independence_is_predicted_as_a_simulation_finds_it():
    rng = np.random.default_rng(0)
    truth = rng.random(200_000) < 0.5
    apart = np.sqrt(2) * norm.ppf(0.75)
    scores = rng.normal(size=(4, truth.size)) + apart * truth
    assert roc_auc_score(truth, scores[0]) == pytest.approx(0.75, abs=0.005)
    assert roc_auc_score(truth, scores.sum(axis=0)) == pytest.approx(predicted_auc(4), abs=0.003)


def test_each_of_a_group_sees_each_image_once_and_one_at_random_knows_nothing():
    truth, image, person, stretch, evidence = scale_people._looks(3, ("looks", "random"), 2000)
    for k, expected in ((0, 0.75), (1, 0.5)):
        own = person == k
        assert sorted(image[own]) == list(range(2000))
        assert roc_auc_score(truth[image[own]], evidence[own]) == pytest.approx(expected, abs=0.05)
    assert np.unique(person[stretch == stretch.max()]).tolist() == [1]


def test_the_bench_gives_a_mean_of_every_group_and_its_interval():
    found = bench_people(range(2), n_images=400, n_study_images=0)
    for name in scale_people.GROUPS:
        low, high = found["intervals"][name]
        assert low <= found[name] <= high
        assert len(found["weights"][name]) == len(scale_people.GROUPS[name])
    assert found["weights"]["one_random"][-1] == min(found["weights"]["one_random"])
    assert "study" not in found


def test_in_a_real_study_whoever_does_not_look_weighs_least(tmp_path):
    found = study_of_four(tmp_path, 200)
    assert found["looks"] > 700
    assert min(found["weights"], key=found["weights"].get) == "Dora"
    assert found["together"] > found["without"] - 0.02
