from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np
import pytest

from brainloop.classifier.heads import HEADS
from brainloop.classifier.system import SYSTEMS
from brainloop.errors import SettingsError
from brainloop.settings import Settings


def a_pool(n=300, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.3
    embeddings = rng.normal(size=(n, 30)).astype(np.float32)
    embeddings[truth, :3] += 2
    return embeddings, truth, np.where(truth, 1.0, -1.0) + rng.normal(size=n)


def test_a_study_can_be_made_with_every_system_and_ours_is_the_default():
    assert set(get_args(get_type_hints(Settings)["system"])) == set(SYSTEMS)
    assert Settings("images", "rose").system == "brainloop"


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_learns_and_asks(name):
    system = SYSTEMS[name]
    embeddings, truth, evidence = a_pool()
    features = system.fit_features(embeddings)(embeddings)
    head = system.learn(features[:200], evidence[:200])
    log_odds = head.log_odds(features[200:])
    assert log_odds[truth[200:]].mean() > log_odds[~truth[200:]].mean() + 0.5


def test_hard_is_the_talk_but_for_its_weights_and_truth_is_ours_but_for_who_answers():
    assert replace(SYSTEMS["hard"], rule="talk") == SYSTEMS["talk"]
    assert replace(SYSTEMS["truth"], told_truth=False) == SYSTEMS["brainloop"]


@pytest.mark.parametrize(("field", "value"), [("rule", "softer"), ("head", "deep"), ("query", "all"), ("start", "no")])
def test_an_unknown_part_is_refused_with_the_names_that_there_are(field, value):
    with pytest.raises(SettingsError, match=rf"{field}: expected one of .*, .*; '{value}' came"):
        replace(SYSTEMS["talk"], **{field: value})


def test_heads_of_one_map_share_its_features():
    assert SYSTEMS["talk"].feature_map == HEADS[SYSTEMS["talk"].head][0]
