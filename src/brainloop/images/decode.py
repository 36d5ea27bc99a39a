"""Safe decoding: any supported file becomes upright RGB, or says in a few words why it cannot.

A pool comes from somebody's disk, so every file is taken for hostile until it is decoded: its format is told
by its magic number and never by its name, its dimensions are checked before a pixel is allocated, and
whatever a decoder raises becomes an :class:`~brainloop.errors.ImageError` whose message is the reason to
show.
"""

import os
import stat
from collections.abc import Callable
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from brainloop.errors import ImageError

__all__ = ["MAX_PIXELS", "check_header", "decode", "open_file", "reason_of"]

MAX_PIXELS = 100_000_000
"""Largest image accepted, in pixels: twice the largest cameras. Decoding one takes up to 2 GB, transparency and all."""

LARGE = 20_000_000
"""Images of more pixels are decoded one at a time, lest as many as there are threads fill the memory together."""

_one_large_image = Lock()

# The classes are called directly because `PIL.Image.open` can only be kept from its own opinion about large
# images, a warning below one size and an error above another, by changing a global of Pillow's.
_FORMATS: tuple[tuple[bytes, int, type[ImageFile.ImageFile]], ...] = (
    (b"\xff\xd8\xff", 0, JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", 0, PngImageFile),
    (b"WEBP", 8, WebPImageFile),
    (b"GIF87a", 0, GifImageFile),
    (b"GIF89a", 0, GifImageFile),
    (b"II*\x00", 0, TiffImageFile),
    (b"MM\x00*", 0, TiffImageFile),
    (b"II+\x00", 0, TiffImageFile),
    (b"MM\x00+", 0, TiffImageFile),
    (b"BM", 0, BmpImageFile),
)

_ORIENTATION_TAG = 0x0112
# What each EXIF orientation asks of an (H, W, 3) array; TIFF 6.0, section 8 (Orientation).
_UPRIGHT: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda rgb: rgb[:, ::-1],
    3: lambda rgb: rgb[::-1, ::-1],
    4: lambda rgb: rgb[::-1],
    5: lambda rgb: rgb.swapaxes(0, 1),
    6: lambda rgb: np.rot90(rgb, -1),
    7: lambda rgb: rgb[::-1, ::-1].swapaxes(0, 1),
    8: lambda rgb: np.rot90(rgb),
}


def open_file(path: Path) -> IO[bytes]:
    """Open a regular file for reading, or say why not.

    Raises
    ------
    ImageError
        The file has vanished, is no regular file (a pipe would block for ever), may not be read, or is empty.
    """
    # Without O_NONBLOCK the opening of a pipe would wait for its writer.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise ImageError(reason_of(error)) from error
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size > 0:
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise ImageError(
        "zero bytes" if stat.S_ISREG(status.st_mode) else "unreadable: a folder, pipe or device, not a file"
    )


def reason_of(error: OSError) -> str:
    """Say in a few words why a file or a folder could not be read."""
    if isinstance(error, FileNotFoundError):
        return "vanished between scan and read"
    return f"unreadable: {(error.strerror or str(error)).lower()}"


def check_header(file: IO[bytes], *, max_pixels: int = MAX_PIXELS) -> ImageFile.ImageFile:
    """Read an image's header, and nothing more.

    Parameters
    ----------
    file : IO[bytes]
        The image, at its start; it must stay open for as long as the result is used.
    max_pixels : int
        Largest width x height accepted.

    Returns
    -------
    PIL.ImageFile.ImageFile
        The image, not yet decoded.

    Raises
    ------
    ImageError
        Zero bytes, not an image of a supported format, or larger than `max_pixels`.
    """
    prefix = file.read(16)
    file.seek(0)
    if not prefix:
        raise ImageError("zero bytes")
    reader = next((cls for magic, offset, cls in _FORMATS if prefix[offset:].startswith(magic)), None)
    if reader is None:
        raise ImageError("not an image: expected a JPEG, PNG, WebP, BMP, TIFF or GIF file")
    try:
        image = reader(file)
    except Image.DecompressionBombError as error:
        raise ImageError(f"declares too many pixels: {error}") from error
    except Exception as error:  # a damaged header makes Pillow raise almost anything
        raise ImageError(f"not an image: its header is damaged ({_short(error)})") from error
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(f"declares {width} x {height} pixels, limit is {max_pixels:,} in all")
    if width * height == 0:
        raise ImageError(f"declares {width} x {height} pixels")
    return image


def decode(source: Path | bytes, *, max_pixels: int = MAX_PIXELS, at_least: int | None = None) -> NDArray[np.uint8]:
    """Decode an image to upright RGB.

    EXIF orientation is applied, transparency is composited on white, CMYK is converted without a colour
    profile, 16 bits are scaled to 8, and the first frame stands for an animation. Grey levels without a fixed
    range (32-bit integers, floats) are scaled from [0, 1], [0, 255] or [0, 65535] if one of these, the
    narrowest, holds them all, and from their own range otherwise.

    Parameters
    ----------
    source : Path or bytes
        A file, or its content.
    max_pixels : int
        Largest width x height accepted; checked before anything is decoded.
    at_least : int, optional
        Shorter side, in pixels, that the caller can use. A larger JPEG may then be decoded at 1/2, 1/4 or 1/8
        of its size, which is several times faster, but never below this. For showing, not for embedding: vectors
        of photographs so reduced have cosines of .996 to .999 with those of the photographs.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        The pixels, C-contiguous.

    Raises
    ------
    ImageError
        The image cannot be used; the message is the reason.
    """
    with BytesIO(source) if isinstance(source, bytes) else open_file(source) as file:
        image = check_header(file, max_pixels=max_pixels)
        if at_least is not None:
            image.draft(image.mode, (at_least, at_least))
        try:
            with _one_large_image if image.width * image.height > LARGE else nullcontext():
                image.load()
                rgb = _rgb(image)
        except ImageError:
            raise
        except Exception as error:  # as above: a damaged body makes Pillow raise almost anything
            kind = "truncated" if "truncated" in str(error) or isinstance(error, EOFError) else "damaged"
            raise ImageError(f"{kind}: {_short(error)}") from error
        upright = _UPRIGHT.get(_orientation(image))
    return np.ascontiguousarray(upright(rgb) if upright else rgb)


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16"):
        levels = np.asarray(image).astype(np.uint32)
        return _grey((levels * 255 + 32767) // 65535)
    if image.mode in ("I", "F"):
        return _grey(_scaled(np.asarray(image, dtype=np.float64)))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _grey(levels: NDArray[Any]) -> NDArray[np.uint8]:
    return np.repeat(levels.astype(np.uint8)[..., np.newaxis], 3, axis=-1)


def _scaled(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(levels).all():
        raise ImageError("damaged: holds NaN or infinite grey levels")
    low, high = float(levels.min()), float(levels.max())
    if low >= 0 and high <= 65535:
        low, high = 0.0, next(top for top in (1.0, 255.0, 65535.0) if high <= top)
    return np.round((levels - low) / ((high - low) or 1.0) * 255)


def _orientation(image: Image.Image) -> int:
    # A picture with damaged EXIF is still a picture; it is then taken as it lies.
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:
        return 1


def _short(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:120] if text else type(error).__name__
