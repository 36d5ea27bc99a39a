"""What a backbone's `preprocessor_config.json` asks of an image: resize, crop, rescale, normalise.

The steps are those of the image processors of Hugging Face transformers, because wrong preprocessing fails
silently: the vectors come out, and are worse. So nothing is guessed: what is not understood is an error.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from brainloop.errors import BackboneError

__all__ = ["Preprocess"]

# Processors whose old files leave out what their class in transformers knows: whether a bare `size` is the
# side of a square (or else the shorter edge), and the filter (2 bilinear, 3 bicubic).
_FAMILIES = {
    "vit": (True, 2),
    "deit": (True, 3),
    "beit": (True, 3),
    "siglip": (True, 3),
    "clip": (False, 3),
    "bit": (False, 3),
    "levit": (False, 3),
    "convnext": (False, 2),
    "mobilenetv1": (False, 2),
    "mobilenetv2": (False, 2),
}

# Beyond so many times the crop's area an image is not resized in full: an image of 1 x 1,000,000 pixels would
# take 150 GB. Its crop alone differs by a few grey levels here and there, where Pillow takes rows and columns
# in the other order, which moved vectors by up to 0.05.
_LONG = 64

_NOT_SUPPORTED = (
    "do_pad",
    "do_flip_channel_order",
    "rescale_offset",
    "do_align_long_axis",
    "do_image_splitting",
)


@dataclass(frozen=True)
class Preprocess:
    """Preprocessing of one backbone.

    Attributes
    ----------
    height, width : int
        Size of the result, in pixels.
    resize : tuple of two ints, int or None
        (height, width) to resize to whatever the image's proportions; or the shorter edge, which keeps them;
        or no resizing.
    resample : int
        Pillow's number of the filter: 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic, 4 box, 5 Hamming.
    scale, offset : tuple of three floats
        Normalisation of each channel: ``float = scale * byte + offset``.
    """

    height: int
    width: int
    resize: tuple[int, int] | int | None
    resample: int
    scale: tuple[float, float, float]
    offset: tuple[float, float, float]

    @classmethod
    def from_json(cls, path: Path) -> "Preprocess":
        """Read a `preprocessor_config.json`.

        Raises
        ------
        BackboneError
            No such file, not JSON, or it asks for something that is not supported.
        """
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise BackboneError(
                f"expected the backbone's preprocessing at {path}, found nothing: put there the "
                "preprocessor_config.json of the model's hub repository; wrong preprocessing fails silently"
            ) from error
        except (OSError, ValueError) as error:
            raise BackboneError(f"cannot read {path} as JSON: {error}") from error
        if not isinstance(config, dict):
            raise BackboneError(f"expected a JSON object in {path}, found {type(config).__name__}")
        try:
            return cls.from_config(config)
        except BackboneError as error:
            raise BackboneError(f"{path}: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise BackboneError(f"{path}: missing or malformed entry ({error!r})") from error

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Preprocess":
        """Read the content of a `preprocessor_config.json`; see :meth:`from_json`."""
        for key in _NOT_SUPPORTED:
            if config.get(key):
                raise BackboneError(f"asks for {key}, which is not supported")
        family = str(config.get("image_processor_type", config.get("feature_extractor_type", "")))
        family = family.lower().removesuffix("fast").removesuffix("imageprocessor").removesuffix("featureextractor")
        resize, crop = None, None
        resample = config.get("resample")
        if config.get("do_resize", True):
            resize = _size(config["size"], family, config.get("default_to_square"))
            if resample is None:
                resample = _FAMILIES[family][1] if family in _FAMILIES else None
            if resample not in range(6):
                raise BackboneError(f"expected resample from 0 to 5 (Pillow's filters), found {resample!r}")
        if config.get("do_center_crop", "crop_size" in config):
            crop = _pair(config["crop_size"])
        if family == "convnext" and isinstance(resize, int) and resize < 384:
            # ConvNextImageProcessor resizes to shortest_edge / crop_pct, then crops; from 384 on it squashes.
            crop = (resize, resize)
            resize = int(resize / config.get("crop_pct", 224 / 256))
        elif family == "convnext" and isinstance(resize, int):
            resize = (resize, resize)
        elif family == "levit" and isinstance(resize, int):
            resize = int(256 / 224 * resize)
        size = crop or resize
        if not isinstance(size, tuple):
            raise BackboneError("its steps end in no fixed size: expected crop_size, or size with height and width")
        factor = float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0
        mean, std = np.zeros(3), np.ones(3)
        if config.get("do_normalize", True):
            mean = np.broadcast_to(np.asarray(config["image_mean"], dtype=np.float64), 3)
            std = np.broadcast_to(np.asarray(config["image_std"], dtype=np.float64), 3)
        if not (np.isfinite(mean).all() and (std > 0).all()):
            raise BackboneError(f"expected a finite image_mean and a positive image_std, found {mean} and {std}")
        return cls(*size, resize, resample or 0, _triple(factor / std), _triple(-mean / std))

    def __call__(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize and crop one image.

        Parameters
        ----------
        rgb : ndarray of uint8, shape (H, W, 3)

        Returns
        -------
        ndarray of uint8, shape (height, width, 3)
            Black where the crop reaches beyond the image, as in transformers. May share memory with `rgb`.
        """
        height, width = self._resized(rgb.shape[0], rgb.shape[1])
        top, left = (height - self.height) // 2, (width - self.width) // 2
        # The part of the resized image that the crop keeps.
        y0, x0 = max(top, 0), max(left, 0)
        y1, x1 = min(top + self.height, height), min(left + self.width, width)
        if (height, width) == rgb.shape[:2]:
            part = rgb[y0:y1, x0:x1]
        elif height * width <= _LONG * self.height * self.width:
            part = self._resample(rgb, height, width)[y0:y1, x0:x1]
        else:
            by_y, by_x = rgb.shape[0] / height, rgb.shape[1] / width
            box = (x0 * by_x, y0 * by_y, min(x1 * by_x, rgb.shape[1]), min(y1 * by_y, rgb.shape[0]))
            part = self._resample(rgb, y1 - y0, x1 - x0, box)
        if part.shape[:2] == (self.height, self.width):
            return part
        padded = np.zeros((self.height, self.width, 3), dtype=np.uint8)
        padded[y0 - top : y1 - top, x0 - left : x1 - left] = part
        return padded

    def normalise(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn bytes into what the network was trained on.

        Parameters
        ----------
        batch : ndarray of uint8, shape (n, height, width, 3)

        Returns
        -------
        ndarray of float32, shape (n, 3, height, width)
            C-contiguous.
        """
        normalised = np.empty((len(batch), 3, *batch.shape[1:3]), dtype=np.float32)
        scale = np.asarray(self.scale, dtype=np.float32).reshape(3, 1, 1)
        np.multiply(batch.transpose(0, 3, 1, 2), scale, out=normalised)
        normalised += np.asarray(self.offset, dtype=np.float32).reshape(3, 1, 1)
        return normalised

    def to_json(self) -> str:
        """Write the steps out, the same for the same steps: part of a backbone's fingerprint."""
        return json.dumps(asdict(self), sort_keys=True)

    def _resample(
        self,
        rgb: NDArray[np.uint8],
        height: int,
        width: int,
        box: tuple[float, float, float, float] | None = None,
    ) -> NDArray[np.uint8]:
        image = Image.fromarray(rgb)
        return np.asarray(image.resize((width, height), Image.Resampling(self.resample), box=box))

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        if self.resize is None:
            return height, width
        if isinstance(self.resize, tuple):
            return self.resize
        # transformers' get_resize_output_image_size truncates the longer edge.
        short, long = min(height, width), max(height, width)
        longer = self.resize * long // short
        return (self.resize, longer) if height <= width else (longer, self.resize)


def _size(size: object, family: str, square: object) -> tuple[int, int] | int:
    if isinstance(size, Mapping) and set(size) == {"shortest_edge"}:
        return _positive(size["shortest_edge"])
    if isinstance(size, Mapping):
        return _pair(size)
    if square is None:
        if family not in _FAMILIES:
            raise BackboneError(
                f"size {size!r} may be a square or the shorter edge, and processor {family!r} is not known: "
                f"write {{'shortest_edge': {size}}} or {{'height': {size}, 'width': {size}}}"
            )
        square = _FAMILIES[family][0]
    return _pair(size) if square else _positive(size)


def _pair(size: object) -> tuple[int, int]:
    if isinstance(size, Mapping) and set(size) == {"height", "width"}:
        return _positive(size["height"]), _positive(size["width"])
    if isinstance(size, Mapping):
        raise BackboneError(f"expected a size of height and width, or of shortest_edge alone, found {dict(size)}")
    return _positive(size), _positive(size)


def _positive(value: object) -> int:
    if not isinstance(value, int | float) or not math.isfinite(value) or int(value) < 1:
        raise BackboneError(f"expected a size of at least 1 pixel, found {value!r}")
    return int(value)


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return cast(tuple[float, float, float], tuple(float(value) for value in values))
