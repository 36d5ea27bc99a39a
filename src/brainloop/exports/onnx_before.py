"""The steps before a backbone as an ONNX graph: pixels of an image of any size to its input."""

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from brainloop.errors import BackboneError
from brainloop.exports.onnx_text import Arrays, Network, graph_of, integers, numbers
from brainloop.images.preprocess import Preprocess

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["before"]

_FILTERS = {2: "bilinear", 3: "bicubic"}
"""By Pillow's number."""

_BILINEAR = """
    {a}_fall = Sub (one, {a}_away)
    {a}_raw = Max ({a}_fall, zero)
"""

# With Pillow's a = -.5: within 1 of the centre 1.5 d^3 - 2.5 d^2 + 1, from there to 2 -.5 d^3 + 2.5 d^2 - 4 d + 2.
_BICUBIC = """
    {a}_n1 = Mul (cubic_15, {a}_away)
    {a}_n2 = Sub ({a}_n1, cubic_25)
    {a}_n3 = Mul ({a}_n2, {a}_away)
    {a}_n4 = Mul ({a}_n3, {a}_away)
    {a}_near = Add ({a}_n4, one)
    {a}_f1 = Sub ({a}_away, cubic_5)
    {a}_f2 = Mul ({a}_f1, {a}_away)
    {a}_f3 = Add ({a}_f2, cubic_8)
    {a}_f4 = Mul ({a}_f3, {a}_away)
    {a}_f5 = Sub ({a}_f4, cubic_4)
    {a}_far = Mul (cubic_neg, {a}_f5)
    {a}_is_near = Less ({a}_away, one)
    {a}_is_far = Less ({a}_away, cubic_2)
    {a}_outer = Where ({a}_is_far, {a}_far, zero)
    {a}_raw = Where ({a}_is_near, {a}_near, {a}_outer)
"""


def before(preprocess: Preprocess, network: Network) -> "ModelProto":
    """Resize, crop and normalise one image: ``image``, uint8 (height, width, 3) of any size, to ``pixels``.

    Pillow's resampling, to the last bit: weights in units of 2^-22, one axis after the other, and bytes in between.
    Each pass is a product of matrices; a crop is the rows of these matrices that it keeps, and black a row of zeros.

    Raises
    ------
    BackboneError
        If images are resized by another filter than bilinear or bicubic.
    """
    if preprocess.resize is not None and preprocess.resample not in _FILTERS:
        raise BackboneError(
            f"expected a backbone whose images are resized by {' or '.join(_FILTERS.values())} to write it as ONNX; "
            f"its preprocessor_config.json asks for Pillow's filter {preprocess.resample}: export the model as "
            "safetensors"
        )
    arrays: Arrays = {
        **numbers(zero=0.0, half=0.5, one=1.0, white=255.0, unit=2.0**22, per_unit=2.0**-22),
        **integers(first=[0], second=[1], last=[-1], batch=[network.batch, 1, 1, 1]),
        "scale": np.asarray(preprocess.scale, dtype=np.float32).reshape(3, 1, 1),
        "offset": np.asarray(preprocess.offset, dtype=np.float32).reshape(3, 1, 1),
    }
    steps = f"""
        shape = Shape (image)
        height = Gather (shape, zero_index)
        width = Gather (shape, one_index)
        {_resized(preprocess, arrays)}
        {_weights("y", "height", preprocess.height, preprocess, arrays)}
        {_weights("x", "width", preprocess.width, preprocess, arrays)}
        channels = Transpose <perm=[2, 0, 1]> (image)
        bytes = Cast <to=11> (channels)
        x_columns = Transpose <perm=[1, 0]> (x_rows)
        {_passes(turned=_is_turned())}
        floats = Cast <to=1> (resized)
        scaled = Mul (floats, scale)
        normal = Add (scaled, offset)
        one_image = Unsqueeze (normal, first)
        same = Tile (one_image, batch)
        pixels = Cast <to={10 if network.half else 1}> (same)
    """
    arrays |= integers(zero_index=0, one_index=1)
    kind = "float16" if network.half else "float"
    pixels = f"{kind}[{network.batch}, 3, {preprocess.height}, {preprocess.width}] pixels"
    return graph_of("before", "uint8[height_of, width_of, 3] image", pixels, steps, arrays, network)


def _resized(preprocess: Preprocess, arrays: Arrays) -> str:
    """Give the size to resize to, ``y_size`` and ``x_size``, before the crop."""
    if preprocess.resize is None:
        return "y_size = Identity (height)\nx_size = Identity (width)"
    if isinstance(preprocess.resize, tuple):
        arrays |= integers(y_size=preprocess.resize[0], x_size=preprocess.resize[1])
        return ""
    arrays |= integers(edge=preprocess.resize)
    return """
        shorter = Min (height, width)
        y_product = Mul (height, edge)
        x_product = Mul (width, edge)
        y_size = Div (y_product, shorter)
        x_size = Div (x_product, shorter)
    """


def _weights(a: str, length: str, size: int, preprocess: Preprocess, arrays: Arrays) -> str:
    """Give one axis's resampling as a matrix, (size, length), in units of 2^-22: Pillow's `precompute_coeffs`."""
    if preprocess.resample == 3:
        arrays |= numbers(cubic_15=1.5, cubic_25=2.5, cubic_2=2.0, cubic_5=5.0, cubic_8=8.0, cubic_4=4.0)
        arrays |= numbers(cubic_neg=-0.5)
    arrays[f"{a}_count"] = np.arange(size, dtype=np.float64)
    arrays[f"{a}_room"] = np.asarray(size, dtype=np.float64)
    # An image that is not resized has one pixel under each: there every filter is 1 at its centre and 0 elsewhere.
    kernel = _BICUBIC if preprocess.resample == 3 else _BILINEAR
    return f"""
        {a}_before = Cast <to=11> ({length})
        {a}_after = Cast <to=11> ({a}_size)
        {a}_scale = Div ({a}_before, {a}_after)
        {a}_wide = Max ({a}_scale, one)
        {a}_narrow = Div (one, {a}_wide)
        {a}_spare = Sub ({a}_after, {a}_room)
        {a}_half = Mul ({a}_spare, half)
        {a}_start = Floor ({a}_half)
        {a}_place = Add ({a}_count, {a}_start)
        {a}_middle = Add ({a}_place, half)
        {a}_centre = Mul ({a}_middle, {a}_scale)
        {a}_centres = Unsqueeze ({a}_centre, second)
        {a}_index = Range (zero, {a}_before, one)
        {a}_offset = Sub ({a}_index, {a}_centres)
        {a}_pixel = Add ({a}_offset, half)
        {a}_signed = Mul ({a}_pixel, {a}_narrow)
        {a}_away = Abs ({a}_signed)
        {kernel.format(a=a)}
        {a}_total = ReduceSum <keepdims=1> ({a}_raw, last)
        {a}_share = Div ({a}_raw, {a}_total)
        {a}_fine = Mul ({a}_share, unit)
        {a}_whole = Round ({a}_fine)
        {a}_below = Less ({a}_place, zero)
        {a}_within = Less ({a}_place, {a}_after)
        {a}_not_below = Not ({a}_below)
        {a}_inside = And ({a}_within, {a}_not_below)
        {a}_kept = Unsqueeze ({a}_inside, second)
        {a}_rows = Where ({a}_kept, {a}_whole, zero)
    """


def _passes(*, turned: bool) -> str:
    """Resample ``bytes`` along x, then y; or along y first where that is what Pillow does."""
    x_first = f"""
        x_only = MatMul (bytes, x_columns)
        {_round("x_only")}
        x_then_y = MatMul (y_rows, x_only_bytes)
        {_round("x_then_y")}
    """
    if not turned:
        return f"{x_first}\nresized = Identity (x_then_y_bytes)"
    y_first = f"""
        y_only = MatMul (y_rows, bytes)
        {_round("y_only")}
        y_then_x = MatMul (y_only_bytes, x_columns)
        {_round("y_then_x")}
    """
    size = "double[three, out_height, out_width]"
    return f"""
        y_shrinks_by = Sub (y_before, y_after)
        x_shrinks_by = Sub (x_before, x_after)
        x_shrinks_twice = Add (x_shrinks_by, x_shrinks_by)
        y_shrinks = Greater (y_shrinks_by, zero)
        y_shrinks_more = Greater (y_shrinks_by, x_shrinks_twice)
        is_turned = And (y_shrinks, y_shrinks_more)
        resized = If (is_turned) <
            then_branch = y_first () => ({size} y_then_x_bytes) {{ {y_first} }},
            else_branch = x_first () => ({size} x_then_y_bytes) {{ {x_first} }}
        >
    """


def _is_turned() -> bool:
    """Whether the Pillow at hand resamples y first where y shrinks by more than twice as many pixels as x.

    Found by trying 2,942 random sizes on Pillow 13, all of which keep to it; older ones begin with x.
    """
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 20, 3), dtype=np.uint8))
    x_first = noise.resize((10, 60), Image.Resampling.BICUBIC).resize((10, 30), Image.Resampling.BICUBIC)
    return noise.resize((10, 30), Image.Resampling.BICUBIC).tobytes() != x_first.tobytes()


def _round(sums: str) -> str:
    """Bring sums in units of 2^-22 back to bytes, as Pillow does after each pass."""
    return f"""
        {sums}_level = Mul ({sums}, per_unit)
        {sums}_up = Add ({sums}_level, half)
        {sums}_whole = Floor ({sums}_up)
        {sums}_bytes = Clip ({sums}_whole, zero, white)
    """
