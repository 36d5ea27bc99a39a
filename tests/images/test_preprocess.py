import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from brainloop.errors import BackboneError
from brainloop.images.preprocess import Preprocess

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP = {
    "do_resize": True,
    "size": {"shortest_edge": 32},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 32, "width": 32},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": list(MEAN),
    "image_std": list(STD),
}


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def reference(rgb: NDArray[np.uint8], short: int, crop: int, resample: int) -> NDArray[np.uint8]:
    """The steps of transformers' CLIPImageProcessor, one by one, in full."""
    height, width = rgb.shape[:2]
    wide = height <= width
    size = (int(short * width / height), short) if wide else (short, int(short * height / width))
    resized = Image.fromarray(rgb).resize(size, Image.Resampling(resample))
    left, top = (size[0] - crop) // 2, (size[1] - crop) // 2
    return np.asarray(resized.crop((left, top, left + crop, top + crop)))


@settings(max_examples=60, deadline=None)
@given(height=st.integers(8, 90), width=st.integers(8, 90), resample=st.sampled_from([0, 1, 2, 3, 4, 5]))
def test_resizing_and_cropping_match_the_steps_done_one_by_one(height: int, width: int, resample: int) -> None:
    rgb = noise(height, width)
    crop = Preprocess.from_config({**CLIP, "resample": resample})(rgb)
    expected = reference(rgb, 32, 32, resample)
    np.testing.assert_array_equal(crop, expected)


@pytest.mark.parametrize(("height", "width"), [(50, 70), (32, 32), (20, 64), (90, 31)])
def test_a_crop_beyond_the_image_is_black_there(height: int, width: int) -> None:
    config = {**CLIP, "do_resize": False, "crop_size": 48}
    expected = np.asarray(
        Image.fromarray(noise(height, width)).crop(
            ((width - 48) // 2, (height - 48) // 2, (width - 48) // 2 + 48, (height - 48) // 2 + 48)
        )
    )
    np.testing.assert_array_equal(Preprocess.from_config(config)(noise(height, width)), expected)


def test_an_image_of_the_right_size_passes_untouched() -> None:
    rgb = noise(32, 50)
    np.testing.assert_array_equal(Preprocess.from_config(CLIP)(rgb), rgb[:, 9:41])


def test_a_very_long_image_costs_no_more_than_its_crop() -> None:
    # In full, the resized image would have 32 x 32,000,000 pixels.
    rgb = np.zeros((2, 1_000_000, 3), dtype=np.uint8)
    rgb[:, 500_000:] = 200
    crop = Preprocess.from_config(CLIP)(rgb)
    np.testing.assert_array_equal(crop, np.broadcast_to(crop[:1], (32, 32, 3)))
    assert crop[0, :8].max() < 50
    assert crop[0, -8:].min() > 150


def test_a_size_of_height_and_width_squashes() -> None:
    config = {**CLIP, "size": {"height": 16, "width": 24}, "do_center_crop": False}
    rgb = noise(40, 40)
    expected = np.asarray(Image.fromarray(rgb).resize((24, 16), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(Preprocess.from_config(config)(rgb), expected)


def test_normalisation_matches_its_formula() -> None:
    batch = np.stack([noise(32, 32, seed) for seed in range(3)])
    expected = ((batch / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
    normalised = Preprocess.from_config(CLIP).normalise(batch)
    assert normalised.dtype == np.float32
    assert normalised.flags.c_contiguous
    np.testing.assert_allclose(normalised, expected, atol=1e-6)


def test_without_rescaling_and_normalising_bytes_stay_numbers() -> None:
    config = {**CLIP, "do_rescale": False, "do_normalize": False}
    batch = noise(32, 32)[np.newaxis]
    np.testing.assert_array_equal(Preprocess.from_config(config).normalise(batch)[0, 2], batch[0, ..., 2])


@pytest.mark.parametrize(
    ("processor", "resize"),
    [("ViTImageProcessor", (32, 32)), ("CLIPFeatureExtractor", 32), ("BitImageProcessorFast", 32)],
)
def test_a_bare_size_means_what_it_means_to_its_processor(processor: str, resize: object) -> None:
    config = {**CLIP, "size": 32, "image_processor_type": processor}
    assert Preprocess.from_config(config).resize == resize


def test_a_bare_size_of_an_unknown_processor_is_an_error_and_not_a_guess() -> None:
    with pytest.raises(BackboneError, match="may be a square or the shorter edge"):
        Preprocess.from_config({**CLIP, "size": 32})


def test_a_convnext_resizes_to_more_than_it_crops() -> None:
    config = {
        "image_processor_type": "ConvNextImageProcessor",
        "size": {"shortest_edge": 224},
        "crop_pct": 0.875,
        "resample": 3,
        "image_mean": 0.5,
        "image_std": 0.5,
    }
    steps = Preprocess.from_config(config)
    assert (steps.resize, steps.height, steps.width) == (256, 224, 224)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"do_center_crop": False}, "no fixed size"),
        ({"do_pad": True}, "do_pad"),
        ({"resample": 9}, "resample from 0 to 5"),
        ({"image_std": [0, 1, 1]}, "positive image_std"),
        ({"size": {"longest_edge": 32}}, "height and width, or of shortest_edge"),
        ({"size": {"shortest_edge": 0}}, "at least 1 pixel"),
    ],
)
def test_what_cannot_be_done_is_an_error(change: dict[str, object], message: str) -> None:
    with pytest.raises(BackboneError, match=message):
        Preprocess.from_config({**CLIP, **change})


def test_a_missing_entry_is_named_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({key: value for key, value in CLIP.items() if key != "image_mean"}))
    with pytest.raises(BackboneError, match=r"preprocessor_config.json: .*image_mean"):
        Preprocess.from_json(path)


@pytest.mark.parametrize("content", ["", "[1, 2]", "{"])
def test_a_file_that_is_no_json_object_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "preprocessor_config.json"
    path.write_text(content)
    with pytest.raises(BackboneError, match="JSON"):
        Preprocess.from_json(path)


def test_a_missing_file_is_an_error_that_says_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"put there the preprocessor_config.json"):
        Preprocess.from_json(tmp_path / "preprocessor_config.json")
