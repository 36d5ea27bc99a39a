"""Which image of the pool a file means: names are looked up, never opened."""

import posixpath
import re
import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from brainloop.images.pool import Pool

__all__ = ["Likeness", "Lookup", "Match", "has_control"]

# Label Studio puts the first eight digits of a UUID before the name of a file that is uploaded.
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")


class Likeness(IntEnum):
    """How much of a name is an image's path; more is surer."""

    NAME = 1
    """Both end alike, in other folders."""
    END = 2
    """One is the end of the other."""
    PATH = 3
    """It is the path."""


@dataclass(frozen=True, slots=True)
class Match:
    """The image that a name means, and what speaks for it."""

    path: str
    likeness: Likeness


class Lookup:
    """The images of a pool by every name that a file may give them.

    A name is looked up as the path below the pool's root; as a path from where the file lies; as an absolute path; and
    then by its end, the longest that an image has too, with its suffix or without, if only one image has it. A copy
    stands for the image it repeats.

    Parameters
    ----------
    pool : Pool
        The images.
    beside : Path
        The folder of the file that names them.
    """

    def __init__(self, pool: Pool, beside: Path) -> None:
        self._exact = {image.path: image.path for image in pool.images}
        self._skipped = {skipped.path: skipped.reason for skipped in pool.skipped}
        self._exact |= {s.path: s.duplicate_of for s in pool.skipped if s.duplicate_of is not None}
        # A root may be reached through a link, and be named by either path.
        self._roots = sorted({root.as_posix() for root in (pool.root.absolute(), pool.root.resolve())})
        self._starts = [*self._roots, *sorted({folder.as_posix() for folder in (beside.absolute(), beside.resolve())})]

    @cached_property
    def _by_end(self) -> dict[str, tuple[Match, ...]]:
        """Images by the ends of their paths, which files that give whole paths never ask for; three of an end do."""
        by_end: dict[str, tuple[Match, ...]] = {}
        for path, image in self._exact.items():
            part, whole = Match(image, Likeness.NAME), Match(image, Likeness.END)
            for spelled in (_plain(path), posixpath.splitext(_plain(path))[0]):
                for end in {*_ends(spelled), _as_uploaded(spelled)}:
                    known = by_end.get(end, ())
                    if len(known) < 3 and image not in (match.path for match in known):
                        by_end[end] = (*known, whole if end == spelled else part)
        return by_end

    def find(self, name: str) -> Match | str:
        """Give the image, or the reason why there is none, in words that follow the name."""
        if has_control(name):
            return "has control characters in it"
        spellings = _spellings(name)
        for spelling in spellings:
            if (path := self._below(spelling)) is not None:
                return Match(path, Likeness.PATH)
        for spelling in map(_plain, spellings):
            for end in (*_ends(spelling), _UPLOAD.sub("", _as_uploaded(spelling))):
                if (matches := self._by_end.get(end)) is not None:
                    return _only(matches, is_whole=end == spelling)
        reason = self._skipped.get(name)
        return "is not among the images" if reason is None else f"was skipped among the images ({reason})"

    def _below(self, name: str) -> str | None:
        """Find a path below the root or from beside the file; no folder is visited for it."""
        if name in self._exact:
            return self._exact[name]
        for start in self._starts:
            whole = posixpath.normpath(posixpath.join(start, name))
            for root in self._roots:
                if whole.startswith(f"{root}/") and (path := self._exact.get(whole[len(root) + 1 :])) is not None:
                    return path
        return None


def _only(matches: tuple[Match, ...], *, is_whole: bool) -> Match | str:
    if len(matches) > 1:
        first, second = sorted(match.path for match in matches)[:2]
        return f"may be {first} or {second}" + (" or another" if len(matches) > 2 else "")
    return Match(matches[0].path, Likeness.END) if is_whole else matches[0]


def has_control(text: str) -> bool:
    """Whether a text has characters that no name has: control characters, or bytes that were not text."""
    return any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text) if not text.isprintable() else False


def _spellings(name: str) -> list[str]:
    """List what a name may stand for: itself, then as a Windows path, then as an address."""
    spellings = [name]
    if "\\" in name:
        spellings.append(name.replace("\\", "/"))
    if "://" in name or name.startswith("/data/") or "?" in name or "%" in name:
        try:
            parts = urlsplit(name)
            # Label Studio serves local files as /data/local-files/?d=path.
            spellings += parse_qs(parts.query).get("d", [])[:1]
        except ValueError:
            return spellings
        spellings += [unquote(parts.path), unquote(f"{parts.netloc}{parts.path}")]
    return [spelling for spelling in dict.fromkeys(spellings) if spelling.strip("/")]


def _plain(path: str) -> str:
    """Compose letters and accents, which some systems store apart, and drop ``.`` and ``..``."""
    return posixpath.normpath(unicodedata.normalize("NFC", path)).lstrip("/")


def _ends(path: str) -> list[str]:
    """List the ends of a path, the longest first."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _as_uploaded(path: str) -> str:
    """Spell a file's name as Django spells that of an upload, in a way that is no path's end."""
    name = posixpath.basename(unicodedata.normalize("NFC", path))
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))
