import contextlib
import io
import os
import struct
import subprocess
import sys
import tempfile
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from brainloop.errors import ImageError
from brainloop.images.decode import decode

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def smooth(height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    return np.stack([4 * x % 256, 5 * y % 256, 2 * (x + y) % 256], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_a_lossless_format_gives_back_its_pixels(kind: str) -> None:
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(COLOURS), kind)), COLOURS)


def test_a_lossless_webp_gives_back_its_pixels() -> None:
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(COLOURS), "WEBP", lossless=True)), COLOURS)


def test_a_jpeg_is_close_to_its_pixels() -> None:
    flat = np.full((16, 16, 3), (200, 100, 50), dtype=np.uint8)
    assert np.abs(decode(encoded(Image.fromarray(flat), "JPEG", quality=95)).astype(int) - flat).max() <= 3


def test_the_first_frame_stands_for_an_animation() -> None:
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode(data), np.broadcast_to(np.uint8([255, 0, 0]), (3, 4, 3)))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    # TIFF 6.0, tag 274: where the picture's top row and left column lie in what is stored.
    height, width = COLOURS.shape[:2]
    upright = np.empty(COLOURS.shape if orientation < 5 else (width, height, 3), dtype=np.uint8)
    for row in range(height):
        for column in range(width):
            down, right = height - 1 - row, width - 1 - column
            y, x = {
                1: (row, column),
                2: (row, right),
                3: (down, right),
                4: (down, column),
                5: (column, row),
                6: (column, down),
                7: (right, down),
                8: (right, row),
            }[orientation]
            upright[y, x] = COLOURS[row, column]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(COLOURS), kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    np.testing.assert_array_equal(decode(data), upright)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_picture_with_damaged_exif_is_still_a_picture() -> None:
    data = encoded(Image.fromarray(COLOURS), "PNG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    np.testing.assert_array_equal(decode(data), COLOURS)


def test_greyscale_becomes_three_equal_channels() -> None:
    grey = COLOURS[..., 0]
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(grey), "PNG")), grey[..., None].repeat(3, -1))


def test_a_bitmap_of_one_bit_becomes_black_and_white() -> None:
    bits = COLOURS[..., 0] > 128
    expected = (bits[..., None] * np.uint8([255, 255, 255])).astype(np.uint8)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(bits), "PNG")), expected)


def test_a_cmyk_jpeg_has_its_colours_and_not_their_negative() -> None:
    # Adobe writes CMYK inverted and says so in a marker; Pillow writes as Adobe does.
    flat = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    data = encoded(flat, "JPEG", quality=95)
    assert b"Adobe" in data
    assert np.abs(decode(data).astype(int) - (255, 0, 0)).max() <= 4


def test_a_cmyk_tiff_has_its_colours() -> None:
    flat = Image.new("CMYK", (4, 4), (255, 0, 0, 0))
    np.testing.assert_array_equal(decode(encoded(flat, "TIFF")), np.broadcast_to(np.uint8([0, 255, 255]), (4, 4, 3)))


def test_a_palette_becomes_its_colours() -> None:
    image = Image.fromarray(COLOURS).quantize(8)
    np.testing.assert_array_equal(decode(encoded(image, "PNG")), np.asarray(image.convert("RGB")))


def over_white(colours: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.float64]:
    share = alpha[..., None] / 255
    return colours * share + 255 * (1 - share)


def test_alpha_is_composited_on_white() -> None:
    alpha = RNG.integers(0, 256, COLOURS.shape[:2], dtype=np.uint8)
    data = encoded(Image.fromarray(np.dstack([COLOURS, alpha])), "PNG")
    assert np.abs(decode(data) - over_white(COLOURS, alpha)).max() <= 1


def test_grey_with_alpha_is_composited_on_white() -> None:
    grey, alpha = COLOURS[..., 0], COLOURS[..., 1]
    data = encoded(Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)]), "PNG")
    assert np.abs(decode(data) - over_white(grey[..., None].repeat(3, -1), alpha)).max() <= 1


def test_a_transparent_colour_of_a_palette_is_white() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((0, 0), 1)
    rgb = decode(encoded(image, "PNG", transparency=0))
    np.testing.assert_array_equal(rgb[0, 0], [0, 0, 255])
    np.testing.assert_array_equal(rgb[1:].reshape(-1, 3), np.full((12, 3), 255))


def test_a_palette_with_levels_of_transparency_is_composited_on_white() -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([255, 0, 0, 0, 0, 0])
    image.putpixel((1, 0), 1)
    rgb = decode(encoded(image, "PNG", transparency=bytes([255, 51])))
    np.testing.assert_array_equal(rgb, [[[255, 0, 0], [204, 204, 204]]])


def test_a_transparent_colour_of_an_rgb_image_is_white() -> None:
    image = Image.new("RGB", (2, 1), (10, 20, 30))
    image.putpixel((1, 0), (1, 2, 3))
    np.testing.assert_array_equal(
        decode(encoded(image, "PNG", transparency=(10, 20, 30))), [[[255, 255, 255], [1, 2, 3]]]
    )


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_clipped(kind: str) -> None:
    levels = np.asarray([[0, 256, 1000, 32768, 65535]], dtype=np.uint16)
    expected = np.round(levels / 65535 * 255).astype(np.uint8)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(levels), kind))[..., 0], expected)


def test_sixteen_bits_with_the_high_byte_first_are_scaled() -> None:
    # A TIFF of one strip written by hand: Pillow gives it the mode "I;16B".
    levels = np.asarray([[0, 1000, 65535]], dtype=">u2")
    tags = [(256, 3), (257, 1), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 6)]
    entries = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags)
    data = b"MM\x00*" + struct.pack(">I", 14) + levels.tobytes() + struct.pack(">H", len(tags)) + entries + bytes(4)
    np.testing.assert_array_equal(decode(data)[..., 0], [[0, 4, 255]])


def png16(colours: NDArray[np.uint16]) -> bytes:
    """A 16-bit RGB PNG, which Pillow cannot write."""
    height, width, _ = colours.shape
    rows = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in colours)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows))]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in [*chunks, (b"IEND", b"")]
    )
    return b"\x89PNG\r\n\x1a\n" + body


def test_sixteen_bits_of_each_colour_are_scaled() -> None:
    colours = np.asarray([[[0, 32768, 65535]]], dtype=np.uint16)
    assert np.abs(decode(png16(colours)).astype(int) - [[[0, 128, 255]]]).max() <= 1


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([0.0, 0.2, 1.0], [0, 51, 255]),
        ([0.0, 51.0, 255.0], [0, 51, 255]),
        ([0.0, 13107.0, 65535.0], [0, 51, 255]),
        ([-100.0, 0.0, 400.0], [0, 51, 255]),
        ([7.0, 7.0, 7.0], [7, 7, 7]),
        ([-7.0, -7.0, -7.0], [0, 0, 0]),
    ],
)
def test_floats_are_scaled_from_the_range_that_holds_them(levels: list[float], expected: list[int]) -> None:
    data = encoded(Image.fromarray(np.asarray([levels], dtype=np.float32)), "TIFF")
    np.testing.assert_array_equal(decode(data)[0, :, 0], expected)


def test_integers_of_32_bits_are_scaled_from_their_own_range() -> None:
    data = encoded(Image.fromarray(np.asarray([[0, 200_000, 1_000_000]], dtype=np.int32)), "TIFF")
    np.testing.assert_array_equal(decode(data)[0, :, 0], [0, 51, 255])


def test_a_float_image_with_nan_is_refused() -> None:
    data = encoded(Image.fromarray(np.asarray([[0.0, np.nan]], dtype=np.float32)), "TIFF")
    with pytest.raises(ImageError, match="NaN"):
        decode(data)


def test_zero_bytes_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    for source in (b"", tmp_path / "empty.jpg"):
        with pytest.raises(ImageError, match=r"^zero bytes$"):
            decode(source)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_a_truncated_image_is_refused_with_its_reason(kind: str) -> None:
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with pytest.raises(ImageError, match=r"truncated|damaged"):
        decode(data[: len(data) // 2])


def test_a_truncated_jpeg_says_that_it_is_truncated() -> None:
    data = encoded(Image.fromarray(smooth()), "JPEG")
    with pytest.raises(ImageError, match=r"^truncated: "):
        decode(data[:-200])


@pytest.mark.parametrize("data", [b"hello, world", b"<svg></svg>", b"BM", b"\xff\xd8\xff", b"RIFF\x00\x00\x00\x00WEBP"])
def test_what_is_not_an_image_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"^not an image"):
        decode(data)


def declared(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return start + struct.pack(">I", 1000) + b"IDAT" + bytes(1000)


def test_a_decompression_bomb_is_refused_from_its_header_without_a_warning() -> None:
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match=r"^declares 50000 x 50000 pixels, limit is 100,000,000"):
            decode(declared(50_000, 50_000))
        with pytest.raises(ImageError, match=r"^declares 11000 x 10000 pixels"):
            decode(declared(11_000, 10_000))
    assert limit == Image.MAX_IMAGE_PIXELS


def test_a_bitmap_that_declares_too_much_is_refused() -> None:
    data = bytearray(encoded(Image.fromarray(COLOURS), "BMP"))
    data[18:26] = struct.pack("<ii", 60_000, 60_000)
    with pytest.raises(ImageError, match=r"^declares 60000 x 60000 pixels"):
        decode(bytes(data))


def test_the_limit_on_pixels_can_be_set() -> None:
    with pytest.raises(ImageError, match="limit is 34 in all"):
        decode(encoded(Image.fromarray(COLOURS), "PNG"), max_pixels=34)
    assert decode(encoded(Image.fromarray(COLOURS), "PNG"), max_pixels=35).shape == COLOURS.shape


def test_a_file_that_has_vanished_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"^vanished between scan and read$"):
        decode(tmp_path / "gone.jpg")


def test_a_folder_and_a_pipe_are_no_images(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path, tmp_path / "pipe.jpg"):
        with pytest.raises(ImageError, match=r"^unreadable: a folder, pipe or device"):
            decode(path)


def test_an_unreadable_file_is_named() -> None:
    # Root may read everything, so the reader gives up its rights first.
    script = """
import os, sys
from pathlib import Path
from brainloop.errors import ImageError
from brainloop.images.decode import decode
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    decode(Path(sys.argv[1]))
except ImageError as error:
    sys.stdout.write(str(error))
"""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "locked.png")
        path.write_bytes(encoded(Image.fromarray(COLOURS), "PNG"))
        path.chmod(0)
        command = [sys.executable, "-c", script, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "unreadable: permission denied"


def test_a_large_jpeg_may_be_decoded_smaller_but_never_below_what_is_asked_for() -> None:
    data = encoded(Image.fromarray(smooth(480, 640)), "JPEG", quality=95)
    assert decode(data).shape == (480, 640, 3)
    assert decode(data, at_least=400).shape == (480, 640, 3)
    assert decode(data, at_least=200).shape == (240, 320, 3)
    assert decode(data, at_least=60).shape == (60, 80, 3)


def test_decoding_in_many_threads_gives_what_one_gives() -> None:
    files = [encoded(Image.fromarray(np.roll(smooth(), shift, axis=1)), "JPEG") for shift in range(16)]
    alone = [decode(data) for data in files]
    together: dict[int, NDArray[np.uint8]] = {}
    threads = [
        threading.Thread(target=lambda number=number: together.update({number: decode(files[number])}))
        for number in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(16):
        np.testing.assert_array_equal(together[number], alone[number])


SAMPLES = [encoded(Image.fromarray(smooth(24, 24)), kind) for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.sampled_from(SAMPLES),
    changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=8),
    length=st.integers(1, 5000),
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_bytes_give_an_image_or_an_image_error(
    data: bytes, changes: list[tuple[int, int]], length: int
) -> None:
    damaged = bytearray(data)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    with contextlib.suppress(ImageError):
        rgb = decode(bytes(damaged[:length]), max_pixels=1_000_000)
        assert rgb.dtype == np.uint8
        assert rgb.ndim == 3
        assert rgb.shape[2] == 3
