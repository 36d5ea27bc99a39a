import json

import numpy as np
import pytest

from brainloop.bench.drive import AGENTS, _agent, _bars, bench_drive, reached
from brainloop.bench.drive_figures import draw
from brainloop.bench.drive_markdown import tables
from brainloop.driving.reward_model import learn_hazards


def run(rates, progress=0.6, model=None):
    curve = [
        {"steps": 5_000 * (k + 1), "collision_rate": rate, "progress": progress, "speed": 0.8}
        for k, rate in enumerate(rates)
    ]
    return {"curve": curve, "final": curve[-1], "model": model}


def bars_of(runs):
    return _bars(runs, {name: _agent(some) for name, some in runs.items()})


def test_a_driver_who_does_not_move_yet_has_not_come_down():
    curves = {
        name: [{"steps": 10 * (k + 1), "collision_rate": rate} for k, rate in enumerate(rates)]
        for name, rates in {
            "plain": [0.1, 0.9, 0.5, 0.505, 0.5], "brain": [0.0, 0.9, 0.4, 0.3, 0.2], "never": [0.6] * 5
        }.items()
    }  # fmt: skip
    found = reached(curves)
    assert found["steps_to_plain"] == {"plain": 30, "brain": 30, "never": None}
    assert found["share_of_training"] == pytest.approx(0.6)
    assert found["share_of_plain"] == 1.0


def test_the_bars_are_what_the_curves_say_by_hand():
    runs = {name: [run([0.8, 0.5, 0.4]), run([0.8, 0.6, 0.4])] for name in AGENTS}
    runs["brain"] = [run([0.4, 0.3, 0.1], 0.66), run([0.4, 0.2, 0.2], 0.66)]
    runs["reward_model"] = [run([0.8, 0.4, 0.2]), run([0.7, 0.4, 0.2])]
    runs["random_feedback"] = [run([0.8, 0.6, 0.5]), run([0.8, 0.6, 0.3])]
    bars = bars_of(runs)
    assert bars["collisions_of_plain"] == pytest.approx(0.15 / 0.4)
    assert bars["progress_of_plain"] == pytest.approx(1.1)
    assert bars["steps_to_plain"]["plain"] == 15_000
    assert bars["steps_to_plain"]["brain"] == 5_000
    assert bars["share_of_training"] == bars["share_of_plain"] == pytest.approx(1 / 3, abs=1e-5)
    assert bars["model_share_of_gain"] == pytest.approx(0.2 / 0.25)
    assert bars["zero_weight_equals_plain"] is True
    assert bars["random_gain"] == pytest.approx(0.0)
    low, high = bars["random_gain_ci"]
    assert low == pytest.approx(-12.706 * 0.1, rel=1e-3)
    assert high == -low


def test_a_curve_that_differs_anywhere_is_not_equal():
    runs = {name: [run([0.8, 0.5])] for name in AGENTS}
    runs["zero_weight"] = [run([0.8, 0.5000001])]
    assert bars_of(runs)["zero_weight_equals_plain"] is False


def test_an_agent_is_described_by_means_over_seeds():
    found = _agent([run([0.8, 0.2], model={"auc": 0.9, "looks": 10}), run([0.6, 0.4], model={"auc": 0.8, "looks": 10})])
    assert found["collision_rate"] == pytest.approx(0.3)
    assert [point["collision_rate"] for point in found["curve"]] == pytest.approx([0.7, 0.3])
    assert found["model"] == {"auc": pytest.approx(0.85), "looks": 10}
    assert found["by_seed"] == [0.2, 0.4]


def test_the_bench_trains_everybody_measures_detection_and_draws_both(tmp_path, monkeypatch):
    monkeypatch.setattr("brainloop.bench.drive.EVERY", 1_200)
    monkeypatch.setattr("brainloop.bench.drive.CURVE_ROADS", range(20))
    monkeypatch.setattr("brainloop.bench.drive.FINAL_ROADS", range(20))
    monkeypatch.setattr("brainloop.driving.road_backbone.train_backbone.__defaults__", (640,))
    monkeypatch.setattr("brainloop.driving.reward_model.N_FRAMES", 300)
    monkeypatch.setattr("brainloop.driving.reward_model.N_TEST", 100)
    monkeypatch.setitem(learn_hazards.__kwdefaults__, "looks", 300)
    figures = json.loads(json.dumps(bench_drive([0, 1], steps=2_400, minutes=3.0, workers=1), allow_nan=False))
    assert set(figures["agents"]) == set(AGENTS)
    assert all(len(one["curve"]) == 2 for one in figures["agents"].values())
    assert figures["agents"]["zero_weight"]["curve"] == figures["agents"]["plain"]["curve"]
    assert figures["bars"]["zero_weight_equals_plain"] is True
    assert 0 <= figures["detection"]["auc"] <= 1
    for name in ("false_alarms_per_hour", "hits", "latency_s", "curve"):
        assert name in figures["detection"]
    text = tables(figures)
    assert "shaped_ttc" in text
    assert "nan" not in text
    assert draw(figures, tmp_path / "drive.png").stat().st_size > 10_000
    assert np.isfinite(figures["agents"]["reward_model"]["model"]["auc"])
