"""Drives side by side, as a GIF or an MP4: what the drivers saw, and the evidence of who watched."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from brainloop._files import write_whole
from brainloop._types import Progress, no_progress
from brainloop.driving.drive import Instant, hazard_onsets
from brainloop.driving.figures import CLOTHES
from brainloop.driving.road import DT
from brainloop.driving.scene import between, draw
from brainloop.errors import SettingsError

__all__ = ["film"]

COLOURS = 40
"""Of a GIF, chosen for the film, beside those of marks and clothes, which are too small to be chosen: few make the file
small, and what is drawn is flat."""

HOLD = 0.8
"""A collision is shown for so long, s, while the next road begins."""

EVIDENCE = 4.0
"""What fills the strip, up or down, nats."""

HEADING, STRIP, LEGEND, GAP = 22, 46, 18, 6
"""Heights of what is above and below the pictures, and the gap between them, pixels."""

PAGE, INK, MUTED, RULE, SHADE = (255, 255, 255), (28, 33, 39), (95, 104, 115), (223, 227, 232), (250, 232, 196)
TRACE, HAZARD, ALARM, COLLISION = (0, 114, 178), (230, 159, 0), (0, 158, 115), (213, 94, 0)

Column = tuple[str, Sequence[Instant]]


def film(
    columns: Sequence[Column],
    path: Path,
    *,
    fps: int = 10,
    size: tuple[int, int] = (320, 180),
    progress: Progress = no_progress,
) -> None:
    """Write drives as one film, side by side.

    Each column has its caption and the collisions so far, the driver's view, and a strip that fills with the evidence
    as it becomes known: hazards shaded, with a mark where each began, alarms and collisions marked.

    Parameters
    ----------
    columns : sequence of (str, sequence of Instant)
        Caption and drive of each.
    path : Path
        Ends in .gif, or in .mp4, which needs the package imageio-ffmpeg. Written whole or not at all.
    fps : int
        Pictures a second, 1 to 50.
    size : tuple of (int, int)
        Width and height of each driver's view, pixels, both even.
    progress : callable
        Called with pictures done and in all.

    Raises
    ------
    SettingsError
        If there is no drive to show, a setting is out of its range, the name ends otherwise, or imageio-ffmpeg is not
        there.
    """
    if not columns or not all(instants for _, instants in columns):
        raise SettingsError("expected one drive or more, each of one instant or more")
    if not 1 <= fps <= 50 or size[0] % 2 or size[1] % 2 or size[0] < 160 or size[1] < 90:
        raise SettingsError(
            f"expected 1 to 50 pictures a second of 160 x 90 pixels or more, even ones; {fps} of {size} came"
        )
    writers: dict[str, Callable[[Iterator[Image.Image], int], bytes]] = {".gif": _gif, ".mp4": _mp4}
    if path.suffix.lower() not in writers:
        raise SettingsError(f"expected a film that ends in .gif or .mp4, {path.name} came")
    write_whole(path, writers[path.suffix.lower()](_pictures(columns, fps, size, progress), fps))


def _pictures(columns: Sequence[Column], fps: int, size: tuple[int, int], progress: Progress) -> Iterator[Image.Image]:
    seconds = max(len(instants) for _, instants in columns) * DT
    shown = [_Column(caption, instants, size, seconds) for caption, instants in columns]
    width = len(columns) * (size[0] + GAP) - GAP
    height = HEADING + size[1] + STRIP + LEGEND
    total = max(round(seconds * fps), 1)
    for number in range(total):
        page = Image.new("RGB", (width + width % 2, height), PAGE)
        for place, column in enumerate(shown):
            page.paste(column.at(number / fps), (place * (size[0] + GAP), 0))
        _legend(page, height - LEGEND)
        progress(number + 1, total)
        yield page


class _Column:
    """One drive in a film.

    What is drawn into the strip stays there, so that from picture to picture little changes and the file is small.
    """

    def __init__(self, caption: str, instants: Sequence[Instant], size: tuple[int, int], seconds: float) -> None:
        self._caption, self._instants, self._size, self._seconds = caption, instants, size, seconds
        self._onsets = set(hazard_onsets(instants))
        self._strip = Image.new("RGB", (size[0], STRIP), PAGE)
        self._draw = ImageDraw.Draw(self._strip)
        self._draw.line((0, STRIP / 2, size[0], STRIP / 2), fill=RULE)
        self._drawn = 0
        self._last: tuple[float, float] | None = None
        self._collisions = 0
        self._held: Instant | None = None

    def at(self, time: float) -> Image.Image:
        """Give the column at a time since the film began, s."""
        last = len(self._instants) - 1
        before = min(int(time / DT + 1e-6), last)
        self._go_on(before)
        now, after = self._instants[before], self._instants[min(before + 1, last)]
        held = self._held
        scene = between(now.scene, after.scene, time / DT - before if before < last else 0.0)
        if held is not None and now.time - held.time < HOLD:
            scene = held.scene
        w, h = self._size
        image = Image.new("RGB", (w, HEADING + h + STRIP), PAGE)
        canvas = ImageDraw.Draw(image)
        canvas.text((2, HEADING / 2), self._caption, font=_font(14), fill=INK, anchor="lm")
        count = f"{self._collisions} collision{'s' * (self._collisions != 1)}"
        canvas.text((w - 2, HEADING / 2), count, font=_font(12), fill=COLLISION if self._collisions else MUTED,
                    anchor="rm")  # fmt: skip
        image.paste(Image.fromarray(draw(scene, self._size)), (0, HEADING))
        image.paste(self._strip, (0, HEADING + h))
        return image

    def _go_on(self, until: int) -> None:
        """Draw what became known up to an instant into the strip."""
        for instant in self._instants[self._drawn : until + 1]:
            x = self._across(instant.time)
            if instant.scene.hazard:
                self._draw.rectangle((self._across(instant.time - DT), 11, x, STRIP - 2), fill=SHADE)
                self._draw.line((self._across(instant.time - DT), STRIP / 2, x, STRIP / 2), fill=RULE)
            if instant.time in self._onsets:
                self._draw.polygon([(x - 4, 1), (x + 4, 1), (x, 9)], fill=HAZARD)
            for said in instant.heard:
                level = max(-1.0, min(said.evidence / EVIDENCE, 1.0))
                point = self._across(instant.time), STRIP / 2 - level * (STRIP / 2 - 12)
                self._draw.line([self._last or point, point], fill=TRACE, width=2)
                self._last = point
            if instant.alarm:
                self._draw.line((x, 12, x, STRIP - 2), fill=ALARM)
                self._draw.ellipse((x - 3, STRIP - 9, x + 3, STRIP - 3), fill=ALARM)
            if instant.ended == "collision":
                self._collisions += 1
                self._held = instant
                _cross(self._draw, x, 5)
        self._drawn = max(self._drawn, until + 1)

    def _across(self, time: float) -> float:
        return 4 + (self._size[0] - 8) * time / self._seconds


def _cross(canvas: ImageDraw.ImageDraw, x: float, y: float) -> None:
    canvas.line((x - 4, y - 4, x + 4, y + 4), fill=COLLISION, width=2)
    canvas.line((x - 4, y + 4, x + 4, y - 4), fill=COLLISION, width=2)


def _legend(page: Image.Image, top: int) -> None:
    """Say what the marks in the strips are."""
    canvas = ImageDraw.Draw(page)
    x, y, font = 6.0, top + LEGEND / 2, _font(11)
    for mark, words in (
        ("line", "evidence of a hazard"),
        ("onset", "hazard begins"),
        ("alarm", "alarm"),
        ("cross", "collision"),
    ):
        if mark == "line":
            canvas.line((x - 3, y, x + 7, y), fill=TRACE, width=2)
        elif mark == "onset":
            canvas.polygon([(x - 4, y - 4), (x + 4, y - 4), (x, y + 4)], fill=HAZARD)
        elif mark == "alarm":
            canvas.ellipse((x - 3, y - 3, x + 3, y + 3), fill=ALARM)
        else:
            _cross(canvas, x, y)
        canvas.text((x + 10, y), words, font=font, fill=MUTED, anchor="lm")
        x += 26 + canvas.textlength(words, font=font)


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _gif(pictures: Iterator[Image.Image], fps: int) -> bytes:
    frames = list(pictures)
    palette = _palette(frames[:: max(len(frames) // 16, 1)])
    flat = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    # Times in a GIF are hundredths of a second: the sum is right, each within a hundredth.
    ends = [round(100 * number / fps) for number in range(len(flat) + 1)]
    durations = [10 * (end - begin) for begin, end in pairwise(ends)]
    file = BytesIO()
    flat[0].save(file, "GIF", save_all=True, append_images=flat[1:], duration=durations, loop=0, optimize=False)
    return file.getvalue()


def _palette(frames: Sequence[Image.Image]) -> Image.Image:
    """Choose the colours of a film by a sample of it."""
    pixels = np.concatenate([np.asarray(frame)[::2, ::2].reshape(-1, 3) for frame in frames])
    sample: NDArray[np.uint8] = pixels[: len(pixels) // 64 * 64].reshape(-1, 64, 3)
    chosen = Image.fromarray(sample).quantize(COLOURS, method=Image.Quantize.MEDIANCUT, kmeans=1).getpalette() or []
    fixed = (PAGE, INK, MUTED, RULE, SHADE, TRACE, HAZARD, ALARM, COLLISION, *CLOTHES)
    palette = Image.new("P", (1, 1))
    palette.putpalette([*chosen[: 3 * COLOURS], *(part for colour in fixed for part in colour)])
    return palette


def _mp4(pictures: Iterator[Image.Image], fps: int) -> bytes:
    try:
        from imageio_ffmpeg import get_ffmpeg_exe, write_frames

        get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:  # the package, or the program that it brings on most systems
        raise SettingsError(
            "a film that ends in .mp4 needs the package imageio-ffmpeg; install it with: pip install imageio-ffmpeg; "
            "or write a .gif"
        ) from error
    with TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        first = next(pictures)
        writer = write_frames(str(path), first.size, fps=fps, macro_block_size=2)
        writer.send(None)
        writer.send(first.tobytes())
        for picture in pictures:
            writer.send(picture.tobytes())
        writer.close()
        return path.read_bytes()
