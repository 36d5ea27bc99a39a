"""Frames of roads, as a pool of images."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from brainloop.driving import frames
from brainloop.driving.frames import frame_scenes, write_frames
from brainloop.driving.scene import draw
from brainloop.errors import SettingsError
from brainloop.images.pool import scan


@pytest.fixture(scope="module")
def scenes():
    return frame_scenes(600, seed=1)


def test_hazards_are_rare_as_a_person_needs_it(scenes):
    assert len(scenes) == 600
    assert sum(scene.hazard for scene in scenes) == 90


def test_scenes_are_of_many_roads_and_none_is_like_another(scenes):
    assert len({scene.seed for scene in scenes}) > 50
    for one, other in pairwise(scenes):
        if one.seed == other.seed and one.hazard == other.hazard:
            assert other.time - one.time > 1.95
    assert not any(scene.collided or scene.speed == 0 for scene in scenes)


def test_drivers_differ_so_that_speed_alone_does_not_tell(scenes):
    for hazard in (False, True):
        speeds = [scene.speed for scene in scenes if scene.hazard == hazard]
        assert np.std(speeds) > 1.5


def test_one_seed_is_one_choice(scenes):
    assert frame_scenes(600, seed=1) == scenes
    assert frame_scenes(600, seed=2) != scenes


def test_what_is_written_is_what_the_driver_sees_and_a_pool_reads_all_of_it(tmp_path):
    folder, told = tmp_path / "frames", []
    assert write_frames(folder, 40, seed=3, progress=lambda done, total: told.append((done, total))) == 6
    assert told == [(number, 40) for number in range(1, 41)]
    pool = scan(folder)
    assert (len(pool), pool.skipped) == (40, ())
    assert [image.label for image in pool.images].count("hazard") == 6
    for scene in frame_scenes(40, seed=3)[:5]:
        name = f"{'hazard' if scene.hazard else 'clear'}/{scene.seed:010d}-{round(scene.time * 10):03d}.png"
        assert np.array_equal(np.asarray(Image.open(folder / name)), draw(scene, frames.SIZE))


def test_a_folder_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    folder = tmp_path / "frames"

    def stop(done, _):
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_frames(folder, 40, progress=stop)
    assert not folder.exists()
    write_frames(folder, 40)
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]
    with pytest.raises(SettingsError, match="expected a folder that is not there yet"):
        write_frames(folder, 40)


def test_too_few_are_refused():
    with pytest.raises(SettingsError, match="20 pictures or more"):
        frame_scenes(19)
