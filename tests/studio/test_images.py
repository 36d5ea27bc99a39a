import asyncio
import io
import os
import sys

import numpy as np
import pytest
from PIL import Image

from brainloop.errors import ImageError
from brainloop.studio import images as module
from brainloop.studio.images import Images


@pytest.fixture
def shown(served, photograph):
    served.session.images = {5: (photograph, "a" * 64)}
    return served


@pytest.mark.parametrize(("kind", "size"), [("thumb", (160, 107)), ("stimulus", (1024, 683))])
def test_an_image_is_scaled_and_encoded_anew(shown, photograph, kind, size):
    answer = shown.ask(f"/image/5/{kind}")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    image = Image.open(io.BytesIO(answer.body))
    assert (image.format, image.size) == ("JPEG", size)
    assert b"secret comment" in photograph.read_bytes()
    assert b"secret comment" not in answer.body


def test_a_small_stimulus_keeps_its_size_and_nearly_its_pixels(shown, tmp_path):
    pixels = np.asarray(Image.effect_noise((90, 60), 20).resize((300, 200), Image.Resampling.BICUBIC).convert("RGB"))
    Image.fromarray(pixels).save(tmp_path / "small.png")
    shown.session.images[6] = (tmp_path / "small.png", "b" * 64)
    given = np.asarray(Image.open(io.BytesIO(shown.ask("/image/6/stimulus").body)))
    assert given.shape == pixels.shape
    assert np.mean((given - pixels.astype(float)) ** 2) < 4  # over 42 dB


@pytest.mark.parametrize(
    "target", ["/image/6/thumb", "/image/5/original", "/image/x/thumb", "/image/-5/thumb", "/image/5"]
)
def test_unknown_ids_and_kinds_are_not_there(shown, target):
    answer = shown.ask(target)
    assert (answer.status, answer.json()["kind"]) == (404, "Not Found")


def test_an_image_whose_file_has_gone_or_is_none_is_not_there_and_says_why(shown, tmp_path):
    shown.session.images[7] = (tmp_path / "gone.jpg", "c" * 64)
    (tmp_path / "page.jpg").write_text("<script>alert(1)</script>")
    shown.session.images[8] = (tmp_path / "page.jpg", "d" * 64)
    for number, why in ((7, "vanished"), (8, "not an image")):
        answer = shown.ask(f"/image/{number}/thumb")
        assert answer.status == 404
        assert why in answer.json()["error"]


def test_a_browser_keeps_an_image_but_asks_whether_it_still_is_the_same(shown, tmp_path):
    first = shown.ask("/image/5/thumb")
    assert first.headers["cache-control"] == "private, no-cache"
    tag = first.headers["etag"]
    again = shown.ask("/image/5/thumb", if_none_match=tag)
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    # Another study: the same id is another image.
    Image.new("RGB", (10, 10), "red").save(tmp_path / "other.png")
    shown.session.images[5] = (tmp_path / "other.png", "e" * 64)
    other = shown.ask("/image/5/thumb", if_none_match=tag)
    assert other.status == 200
    assert Image.open(io.BytesIO(other.body)).size == (10, 10)


def test_only_the_latest_images_are_kept_and_those_are_not_decoded_again(photograph, tmp_path, monkeypatch):
    Image.new("RGB", (10, 10), "red").save(tmp_path / "other.png")

    async def go():
        images = Images()
        first = await images.get(photograph, "first", "thumb")
        monkeypatch.setattr(module, "KEPT", 2 * len(first))
        assert await images.get(tmp_path / "gone", "first", "thumb") is first
        for number in range(20):
            await images.get(photograph, f"another {number}", "thumb")
        with pytest.raises(ImageError):
            await images.get(tmp_path / "gone", "first", "thumb")

    asyncio.run(go())


def test_the_same_image_asked_for_twice_at_once_is_counted_once(photograph, monkeypatch):
    async def go():
        images = Images()
        twice = await asyncio.gather(*(images.get(photograph, "one", "thumb") for _ in range(2)))
        monkeypatch.setattr(module, "KEPT", 2 * len(twice[0]) - 1)
        assert twice[0] == twice[1]
        await images.get(photograph, "one", "stimulus")  # too large to be kept beside it, or at all
        assert images._size == 0
        assert not images._kept

    asyncio.run(go())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives a thread a priority of its own")
def test_decoding_steps_back_behind_samples_and_screen():
    async def go():
        images = Images()
        return await asyncio.get_running_loop().run_in_executor(images._workers, os.nice, 0)

    assert asyncio.run(go()) > os.nice(0)
