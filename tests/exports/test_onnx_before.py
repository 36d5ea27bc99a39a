import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainloop.errors import BackboneError
from brainloop.exports.onnx_before import before
from brainloop.exports.onnx_text import Network
from brainloop.images.preprocess import Preprocess

sides = st.integers(1, 90)


def session(model):
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def network(**values):
    return Network(**({"opset": 13, "ir_version": 8, "batch": 1, "half": False, "shape": (1, 24)} | values))


@settings(max_examples=60, deadline=None)
@given(
    image=st.tuples(sides, sides),
    crop=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    resize=st.one_of(st.none(), sides, st.tuples(sides, sides)),
    resample=st.sampled_from([2, 3]),
    seed=st.integers(0, 99),
)
def test_the_graph_resizes_and_crops_any_image_as_pillow_does_to_the_last_bit(image, crop, resize, resample, seed):
    ours = Preprocess(*crop, resize, resample, (0.01, 0.02, 0.03), (-1.0, 0.0, 1.0))
    rgb = np.random.default_rng(seed).integers(0, 256, (*image, 3), dtype=np.uint8)
    height, width = ours._resized(*image)
    if height * width > 64 * crop[0] * crop[1]:
        return  # so long that ours resizes its crop alone, which differs here and there by a grey level
    (pixels,) = session(before(ours, network())).run(None, {"image": rgb})
    np.testing.assert_array_equal(pixels, ours.normalise(ours(rgb)[np.newaxis]))


def test_what_is_longer_than_its_crop_many_times_takes_no_memory_for_what_the_crop_leaves_out():
    rgb = np.random.default_rng(0).integers(0, 256, (4, 20_000, 3), dtype=np.uint8)
    ours = Preprocess(32, 32, 32, 2, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    (pixels,) = session(before(ours, network())).run(None, {"image": rgb})
    assert np.abs(pixels - ours.normalise(ours(rgb)[np.newaxis])).max() <= 2


def test_a_backbone_of_fixed_batch_and_half_precision_gets_what_it_takes():
    ours = Preprocess(8, 9, (8, 9), 2, (0.01, 0.01, 0.01), (0.0, 0.0, 0.0))
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    (pixels,) = session(before(ours, network(batch=3, half=True))).run(None, {"image": rgb})
    assert (pixels.dtype, pixels.shape) == (np.float16, (3, 3, 8, 9))
    expected = ours.normalise(ours(rgb)[np.newaxis]).astype(np.float16)
    np.testing.assert_array_equal(pixels, np.repeat(expected, 3, axis=0))


def test_a_filter_that_it_does_not_know_is_named_with_the_way_out():
    lanczos = Preprocess(8, 8, (8, 8), 1, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    with pytest.raises(BackboneError, match=r"bilinear or bicubic.*filter 1: export the model as safetensors"):
        before(lanczos, network())
