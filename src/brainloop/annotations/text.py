"""Text of unknown encoding, line by line: nothing is changed on the way, so that it can be written back as it was."""

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brainloop._types import Progress

__all__ = ["LONGEST", "TextFile", "encoding_of"]

LONGEST = 1 << 20
"""Characters of a line; what is longer is no line of a table, and is cut there."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class TextFile:
    """A file of text and its encoding."""

    path: Path
    encoding: str

    @property
    def is_guessed(self) -> bool:
        """Whether nothing but the absence of UTF-8 speaks for the encoding."""
        return self.encoding in ("cp1252", "latin-1")

    def lines(self, progress: Progress | None = None) -> Iterator[tuple[int, str]]:
        """Give each line's number, from 1, and the line with its end. ``progress`` hears bytes."""
        size = self.path.stat().st_size
        # Bytes that are no text come as lone surrogates, and go back as the bytes they were.
        errors = "surrogateescape" if self.encoding.startswith("utf-8") else "replace"
        with self.path.open("rb") as read, io.TextIOWrapper(read, self.encoding, errors, newline="") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST), ""), start=1):
                if progress is not None and number % 1000 == 0:
                    progress(min(read.tell(), size), size)
                yield number, line
        if progress is not None:
            progress(size, size)

    def encode(self, text: str) -> bytes:
        """Encode what is to be written in the file's place; what its encoding lacks becomes UTF-8 throughout."""
        try:
            return text.encode(self.encoding, "surrogateescape" if self.encoding.startswith("utf-8") else "strict")
        except UnicodeEncodeError:
            return text.encode("utf-8", "surrogateescape")


def encoding_of(path: Path) -> str:
    """Tell a file's encoding: by its mark; UTF-16 without one by its zeros; UTF-8 unless most of it is not.

    A file that is neither is Windows' cp1252, or latin-1 where even that has no letter for a byte. The whole file is
    read, a line at a time.
    """
    with path.open("rb") as file:
        head = file.read(4096)
        for mark, name in _MARKS:
            if head.startswith(mark):
                return name
        if zeros := _utf16_by_zeros(head):
            return zeros
        file.seek(0)
        good, bad, cp1252 = 0, 0, True
        for line in iter(lambda: file.readline(LONGEST), b""):
            if line.isascii():
                continue
            try:
                line.decode()
            except UnicodeDecodeError:
                bad += 1
                cp1252 = cp1252 and not line.translate(None, _ALL_BUT_UNDEFINED)
            else:
                good += 1
    if bad <= good:
        return "utf-8"
    return "cp1252" if cp1252 else "latin-1"


# The five bytes that cp1252 leaves undefined.
_ALL_BUT_UNDEFINED = bytes(byte for byte in range(256) if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D))


def _utf16_by_zeros(head: bytes) -> str | None:
    """Names and commas are mostly ASCII, of which UTF-16 makes every other byte a zero."""
    even, odd = head[::2], head[1::2]
    for order, zeros, others in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if zeros and zeros.count(0) > 0.7 * len(zeros) and others.count(0) < 0.1 * len(others):
            return order
    return None
