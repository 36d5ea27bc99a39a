import numpy as np
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score

from brainloop.driving.frames import frame_scenes, write_frames
from brainloop.driving.reward_model import RewardModel, learn_hazards
from brainloop.driving.road_backbone import train_backbone
from brainloop.driving.road_view import FRAME, RoadView
from brainloop.driving.scene import draw
from brainloop.errors import StudyError
from brainloop.loop import run
from brainloop.settings import Settings
from brainloop.study import Study


@pytest.fixture(scope="module")
def frames():
    scenes = frame_scenes(300, seed=5)
    return np.stack([draw(scene, FRAME) for scene in scenes]), scenes


def test_a_frame_that_is_as_usual_stands_out_nowhere(frames):
    pictures, _ = frames
    view = RoadView.fit(pictures)
    usual = pictures[:1].copy()
    rows = slice(int(FRAME[1] * 0.38), int(FRAME[1] * 0.80))
    usual[0, rows] = np.round(255 * view.usual)
    assert view(usual)[0, :-5].max() < 0.5
    usual[0, 30:33, 40:43] = 255 - usual[0, 30:33, 40:43]
    assert view(usual)[0, :-5].max() > 0.5


def test_the_last_numbers_of_a_vector_are_the_speed(frames):
    pictures, scenes = frames
    knots = RoadView.fit(pictures)(pictures)[:, -5:]
    speeds = np.array([scene.speed for scene in scenes])
    assert np.corrcoef(knots @ np.arange(5), speeds)[0, 1] > 0.97


def test_the_backbone_knows_where_things_are_on_roads_that_it_has_not_seen(frames):
    pictures, scenes = frames
    vectors = train_backbone(2_000, seed=0)(pictures)
    assert vectors.shape == (300, 64)
    speeds = np.array([scene.speed for scene in scenes])
    assert cross_val_score(RidgeCV(), vectors, speeds, scoring="r2").mean() > 0.7
    np.testing.assert_array_equal(train_backbone(2_000, seed=0)(pictures), vectors)


def test_it_learns_what_alarms_a_person_from_glances_and_knows_it_on_new_roads(monkeypatch):
    monkeypatch.setattr("brainloop.driving.reward_model.N_FRAMES", 1_200)
    monkeypatch.setattr("brainloop.driving.reward_model.N_TEST", 400)
    monkeypatch.setattr("brainloop.driving.road_backbone.train_backbone.__defaults__", (3_000,))
    done = []
    learned = learn_hazards(seed=1, looks=900, progress=lambda *at: done.append(at))
    assert learned.looks == 900
    assert done[-1] == (900, 900)
    assert learned.auc > 0.75
    scenes = frame_scenes(300, seed=77)
    pictures = np.stack([draw(scene, FRAME) for scene in scenes])
    evidence = learned.model.evidence(pictures)
    assert roc_auc_score([scene.hazard for scene in scenes], evidence) > 0.75
    again = learn_hazards(seed=1, looks=900)
    np.testing.assert_array_equal(again.model.evidence(pictures), evidence)


def test_a_study_of_frames_is_a_reward_model(tmp_path):
    write_frames(tmp_path / "frames", 200, seed=3)
    settings = Settings(
        images=str(tmp_path / "frames"), target="hazard", observer="simulated", decoder="lda", max_looks=100, seed=0
    )
    study = Study.create(tmp_path / "study", settings)
    list(run(study))
    model = RewardModel.of(study)
    scenes = frame_scenes(60, seed=9)
    evidence = model.evidence(np.stack([draw(scene, (320, 180)) for scene in scenes]))
    assert model.size == (320, 180)
    assert evidence.shape == (60,)
    assert np.isfinite(evidence).all()
    assert roc_auc_score([scene.hazard for scene in scenes], evidence) > 0.5


def test_a_study_of_several_classes_is_none(tmp_path):
    write_frames(tmp_path / "frames", 60, seed=3)
    settings = Settings(images=str(tmp_path / "frames"), classes=("hazard", "clear"), observer="own")
    with pytest.raises(StudyError, match="one target"):
        RewardModel.of(Study.create(tmp_path / "study", settings))
