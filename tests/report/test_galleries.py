import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy.special import expit

from brainloop.report.findings import find
from brainloop.report.galleries import N_TILES, THUMBNAIL, Tile, choose, thumbnail
from brainloop.store import PoolImage


def opened(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2])))


def image(path):
    return PoolImage(1, "hash", path, None, "pool")


def folder(path):
    return SimpleNamespace(image_path=lambda image: path / image.path)


def test_each_gallery_holds_what_its_name_says_surest_first(simulated):
    found = find(simulated)
    galleries = choose(found)
    z = {name: np.array([tile.log_odds for tile in gallery.tiles]) for name, gallery in galleries.items()}
    assert set(z) == {"targets", "nontargets", "unsure", "mistakes", "test_mistakes"}
    asked = found.asked
    np.testing.assert_array_equal(z["targets"], np.sort(asked[asked > 0])[::-1][:N_TILES])
    np.testing.assert_array_equal(z["nontargets"], np.sort(asked[asked < 0])[:N_TILES])
    np.testing.assert_array_equal(np.abs(z["unsure"]), np.sort(np.abs(asked))[:N_TILES])
    for name in ("mistakes", "test_mistakes"):
        assert all((tile.log_odds > 0) != (tile.image.label == "<b>rose") for tile in galleries[name].tiles)
        assert (np.diff(np.abs(z[name])) <= 0).all()


def test_mistakes_are_counted_in_the_pool_and_in_the_test_part(simulated):
    found = find(simulated)
    galleries = choose(found)
    assert galleries["mistakes"].of == ((found.asked > 0) != found.truth).sum()
    assert galleries["test_mistakes"].of == ((found.test_log_odds > 0) != found.test_truth).sum()
    assert {tile.image.part for tile in galleries["test_mistakes"].tiles} <= {"test"}
    assert all(tile.looks is None for tile in galleries["test_mistakes"].tiles)


def test_without_truth_there_are_no_mistakes(without_truth):
    galleries = choose(find(without_truth))
    assert set(galleries) == {"targets", "nontargets", "unsure"}
    assert all(tile.is_target is None for gallery in galleries.values() for tile in gallery.tiles)


@pytest.mark.parametrize(("log_odds", "text"), [(20.0, "> 0.999"), (-20.0, "< 0.001"), (0.0, "0.500")])
def test_a_probability_never_claims_certainty(log_odds, text):
    assert Tile(image("x"), log_odds, None).probability == text
    assert 0 < expit(log_odds) < 1


def test_a_photograph_shrinks_and_keeps_its_shape(tmp_path):
    Image.new("RGB", (1200, 600), "red").save(tmp_path / "wide.jpg")
    uri, reason = thumbnail(folder(tmp_path), image("wide.jpg"))
    assert uri.startswith("data:image/jpeg;base64,")
    assert reason == ""
    assert opened(uri).size == (THUMBNAIL, THUMBNAIL // 2)


def test_a_tiny_image_is_blown_up_pixel_by_pixel(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "digit.png")
    uri, _ = thumbnail(folder(tmp_path), image("digit.png"))
    np.testing.assert_array_equal(np.asarray(opened(uri)), pixels.repeat(20, axis=0).repeat(20, axis=1))


def test_an_image_that_has_gone_or_broken_says_why(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nonsense")
    assert thumbnail(folder(tmp_path), image("gone.png")) == ("", "vanished between scan and read")
    uri, reason = thumbnail(folder(tmp_path), image("broken.jpg"))
    assert uri == ""
    assert reason
