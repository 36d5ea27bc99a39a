"""Drives side by side as a film."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainloop.driving.agent import SCRIPTED
from brainloop.driving.drive import Drive
from brainloop.driving.film import film
from brainloop.driving.scene import draw
from brainloop.driving.watchers import SimulatedWatcher
from brainloop.errors import SettingsError

SIZE = (160, 90)


@pytest.fixture(scope="module")
def columns():
    return [
        (name, list(Drive(seed, SCRIPTED[name], SimulatedWatcher(seed=2), seconds=seconds)))
        for name, seed, seconds in (("careless", 4, 6), ("careful", 4, 5))
    ]


def frames(path: Path):
    with Image.open(path) as picture:
        for number in range(picture.n_frames):
            picture.seek(number)
            yield np.asarray(picture.convert("RGB")).astype(int), picture.info["duration"]


@pytest.mark.parametrize("fps", [10, 15])
def test_a_film_lasts_as_long_as_its_longest_drive(columns, tmp_path, fps):
    told = []
    film(columns, tmp_path / "a.gif", fps=fps, size=SIZE, progress=lambda done, total: told.append((done, total)))
    found = list(frames(tmp_path / "a.gif"))
    assert sum(duration for _, duration in found) == 6000
    assert told == [(number, 6 * fps) for number in range(1, 6 * fps + 1)]
    assert found[0][0].shape[1] == 2 * SIZE[0] + 6


def test_each_column_shows_what_its_driver_saw(columns, tmp_path):
    film(columns, tmp_path / "a.gif", size=SIZE)
    found = [picture for picture, _ in frames(tmp_path / "a.gif")]
    assert len(found) == 60
    for number in (0, 20, 40):
        for place, (_, instants) in enumerate(columns):
            seen = found[number][22 : 22 + SIZE[1], place * (SIZE[0] + 6) :][:, : SIZE[0]]
            assert np.abs(seen - draw(instants[number].scene, SIZE)).mean() < 9  # of 255: its colours are few


def test_the_strip_marks_hazards_alarms_and_collisions(tmp_path):
    """Counted by colour: none of them is there before it happens, each is there after it."""
    for seed in range(40):
        drive = list(Drive(seed, SCRIPTED["careless"], SimulatedWatcher(seed=2), seconds=15))
        if any(instant.ended == "collision" for instant in drive) and any(instant.alarm for instant in drive):
            break
    film([("careless", drive)], tmp_path / "a.gif", size=(320, 180))
    # Still pictures are merged in a GIF, so only the first and the last are compared.
    found = [picture[22 + 180 : 22 + 180 + 46] for picture, _ in frames(tmp_path / "a.gif")]

    def count(strip, colour):
        return (np.abs(strip - np.array(colour)).max(axis=2) < 12).sum()

    for colour in ((230, 159, 0), (0, 158, 115), (213, 94, 0)):
        assert count(found[0], colour) == 0
        assert count(found[-1], colour) > 8
    assert count(found[-1], (0, 114, 178)) > count(found[len(found) // 3], (0, 114, 178)) > 0


def test_a_film_is_the_same_each_time_and_a_failed_one_leaves_the_old(columns, tmp_path):
    film(columns, tmp_path / "a.gif", size=SIZE, fps=5)
    film(columns, tmp_path / "b.gif", size=SIZE, fps=5)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        film(columns[:1], tmp_path / "a.gif", size=SIZE, progress=stop)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "b.gif"]


def test_an_mp4_is_written_or_it_is_said_what_to_install(columns, tmp_path):
    try:
        import imageio_ffmpeg
    except ImportError:
        with pytest.raises(SettingsError, match="pip install imageio-ffmpeg"):
            film(columns, tmp_path / "a.mp4", size=SIZE)
        return
    film(columns, tmp_path / "a.mp4", size=SIZE)
    count, seconds = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "a.mp4"))
    assert count == 60
    assert seconds == pytest.approx(6, abs=0.1)


def test_wrong_settings_are_refused(columns, tmp_path):
    with pytest.raises(SettingsError, match="one drive or more"):
        film([], tmp_path / "a.gif")
    with pytest.raises(SettingsError, match="one drive or more"):
        film([("nobody", [])], tmp_path / "a.gif")
    with pytest.raises(SettingsError, match=r"ends in \.gif or \.mp4, a\.avi came"):
        film(columns, tmp_path / "a.avi")
    for settings in ({"fps": 0}, {"fps": 60}, {"size": (161, 90)}, {"size": (100, 60)}):
        with pytest.raises(SettingsError, match="1 to 50 pictures"):
            film(columns, tmp_path / "a.gif", **settings)
