"""The driver's view: the same picture at every size, in which what matters is seen and nothing is given away."""

import subprocess
import sys
from dataclasses import replace
from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainloop.driving.road import LANE, LIMIT, Roads, Scene
from brainloop.driving.scene import between, draw
from brainloop.errors import SettingsError

EMPTY = Scene(3, 1.0, 103.0, 12.0, 0.0, (), (200.0, LANE, 6.0), False, False)
SMALL = (96, 54)


def differing(a, b):
    """Share of pixels that differ visibly, and their mean row and column as shares of the picture."""
    changed = np.abs(a.astype(int) - b.astype(int)).max(axis=2) > 24
    rows, columns = np.nonzero(changed)
    if not len(rows):
        return 0.0, np.nan, np.nan
    return changed.mean(), rows.mean() / a.shape[0], columns.mean() / a.shape[1]


@pytest.mark.parametrize("size", [(32, 18), SMALL, (320, 180), (640, 360), (300, 301), (1280, 720)])
def test_a_picture_has_the_size_that_was_asked_for(size):
    picture = draw(EMPTY, size)
    assert picture.shape == (size[1], size[0], 3)
    assert picture.dtype == np.uint8


def test_it_is_640_by_360_unless_another_size_is_asked_for():
    assert draw(EMPTY).shape == (360, 640, 3)


def test_a_picture_too_small_to_see_anything_is_refused():
    with pytest.raises(SettingsError, match=r"at least 32 x 18 pixels, 20 x 10 came"):
        draw(EMPTY, (20, 10))


def test_the_same_scene_is_the_same_picture_also_in_another_process():
    roads = Roads(np.array([8]))
    for _ in range(90):
        roads.step(np.array([2]))
    code = (
        "import hashlib, numpy as np\n"
        "from brainloop.driving.road import Roads\n"
        "from brainloop.driving.scene import draw\n"
        "roads = Roads(np.array([8]))\n"
        "for _ in range(90): roads.step(np.array([2]))\n"
        "print(hashlib.blake2b(draw(roads.scene(0), (96, 54)).tobytes()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == blake2b(draw(roads.scene(0), SMALL).tobytes()).hexdigest()
    np.testing.assert_array_equal(draw(roads.scene(0)), draw(roads.scene(0)))


def test_a_picture_says_nothing_of_whether_it_is_a_hazard():
    scene = replace(EMPTY, people=((12.0, 0.0, 1.4, True),))
    np.testing.assert_array_equal(draw(scene), draw(replace(scene, hazard=True)))


@pytest.mark.parametrize("size", [SMALL, (640, 360)])
@pytest.mark.parametrize("gap", [10.0, 20.0, 35.0])
def test_who_crosses_is_seen_where_they_are_and_larger_the_nearer(size, gap):
    empty = draw(EMPTY, size)
    share, row, column = differing(draw(replace(EMPTY, people=((gap, 0.0, 1.4, True),)), size), empty)
    closer, _, _ = differing(draw(replace(EMPTY, people=((gap / 2, 0.0, 1.4, True),)), size), empty)
    assert share * size[0] * size[1] >= 4
    assert closer > share
    assert 0.3 < row < 0.7
    assert column == pytest.approx(0.5, abs=0.03)
    left = differing(draw(replace(EMPTY, people=((gap, 3.0, 1.4, True),)), size), empty)[2]
    right = differing(draw(replace(EMPTY, people=((gap, -3.0, 1.4, True),)), size), empty)[2]
    assert left < column < right


def test_who_looks_at_the_road_looks_different():
    one = replace(EMPTY, people=((15.0, -2.35, 0.0, True),))
    other = replace(EMPTY, people=((15.0, -2.35, 0.0, False),))
    assert differing(draw(one), draw(other))[0] > 5e-4


def test_who_is_behind_us_is_not_seen():
    behind = replace(EMPTY, people=((-4.0, 0.0, 1.4, True),), car=(-12.0, LANE, 6.0))
    np.testing.assert_array_equal(draw(behind), draw(EMPTY))


@pytest.mark.parametrize("size", [SMALL, (640, 360)])
def test_a_car_that_cuts_in_is_before_us_in_the_end(size):
    columns = [
        differing(draw(replace(EMPTY, car=(12.0, y, 6.0)), size), draw(EMPTY, size))[2] for y in (LANE, LANE / 2, 0.0)
    ]
    assert columns == sorted(columns)
    assert columns[-1] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("size", [SMALL, (640, 360)])
def test_the_speed_can_be_read_from_the_picture(size):
    """A straight line through the length of the bar gives the speed back."""
    speeds = np.linspace(0, LIMIT, 12)
    lengths = []
    for speed in speeds:
        strip = draw(replace(EMPTY, speed=float(speed)), size)[int(0.9 * size[1]) :, : int(0.79 * size[0])].astype(int)
        lengths.append(((strip[..., 0] - strip[..., 2]) > 60).sum(axis=1).max())
    slope, start = np.polyfit(lengths, speeds, 1)
    np.testing.assert_allclose(slope * np.array(lengths) + start, speeds, atol=0.5)


@pytest.mark.parametrize("size", [SMALL, (640, 360)])
def test_the_brake_is_seen(size):
    share, row, column = differing(draw(replace(EMPTY, acceleration=-7.0), size), draw(EMPTY, size))
    assert share > 1e-3
    assert row > 0.85
    assert column < 0.25


def test_the_road_moves_towards_us_and_repeats_itself():
    assert differing(draw(replace(EMPTY, position=105.0)), draw(EMPTY))[0] > 0.005
    bare = [draw(replace(EMPTY, position=place))[200:250, 100:320] for place in (103.0, 107.5, 112.0)]
    assert (bare[0] != bare[1]).any()
    np.testing.assert_allclose(bare[0].astype(int), bare[2].astype(int), atol=2)


def test_what_stands_beside_the_road_is_its_own():
    assert differing(draw(replace(EMPTY, seed=4)), draw(EMPTY))[0] > 0.05


def test_at_a_collision_the_picture_greys():
    grey = draw(replace(EMPTY, collided=True))
    assert (grey[..., 0] == grey[..., 1]).mean() > 0.8
    assert (draw(EMPTY)[..., 0] == draw(EMPTY)[..., 1]).mean() < 0.2


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**62), steps=st.integers(0, 20), draws=st.integers(0, 2**32))
def test_every_scene_of_a_drive_can_be_drawn(seed, steps, draws):
    roads = Roads(np.array([seed]))
    for action in np.random.default_rng(draws).choice(3, 10 * steps, p=[0.1, 0.2, 0.7]):
        roads.step(np.array([action]))
    assert draw(roads.scene(0), SMALL).std() > 10


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), steps=st.integers(1, 200), share=st.floats(0, 1))
def test_between_two_scenes_all_moves_evenly(seed, steps, share):
    roads = Roads(np.array([seed]))
    for _ in range(steps):
        a = roads.scene(0)
        roads.step(np.array([2]))
    b = roads.scene(0)
    middle = between(a, b, share)
    assert between(a, b, 0.0).position == a.position
    assert between(a, b, 1.0) == b
    assert middle.position == pytest.approx(a.position + share * (b.position - a.position))
    assert middle.time == pytest.approx(a.time + share * (b.time - a.time))
    places = {round(gap + b.position): y for gap, y, _, _ in b.people}
    was = {round(gap + a.position): y for gap, y, _, _ in a.people}
    for gap, y, _, _ in middle.people if share < 1 else ():
        number = round(gap + middle.position)
        low, high = sorted((was.get(number, places[number]), places[number]))
        assert low - 1e-9 <= y <= high + 1e-9


def test_nobody_who_is_still_seen_vanishes_between_two_scenes():
    a = replace(EMPTY, people=((0.6, -2.35, 0.0, True), (20.0, -2.35, 0.0, False)))
    b = replace(EMPTY, time=1.1, position=104.4, people=((18.6, -2.35, 0.0, False), (60.0, 5.85, 0.0, True)))
    middle = between(a, b, 0.5)
    assert [round(gap, 6) for gap, *_ in middle.people] == [19.3, 60.7]


def test_between_two_roads_there_is_nothing():
    other = replace(EMPTY, seed=4, time=0.0)
    assert between(EMPTY, other, 0.7) == EMPTY
    assert between(EMPTY, other, 1.0) == other
