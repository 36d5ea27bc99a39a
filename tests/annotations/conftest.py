"""A pool on paper: annotations only look images up, so that most tests need no files."""

import hashlib
from pathlib import Path

import pytest

from brainloop.images.pool import Image, Pool, Skipped


def on_paper(root: Path, *paths: str, copies: dict[str, str] | None = None, broken: tuple[str, ...] = ()) -> Pool:
    """A pool of images that are only named."""
    images = tuple(
        Image(hashlib.sha256(path.encode()).hexdigest()[:32], path, path.partition("/")[0] if "/" in path else None)
        for path in sorted(paths)
    )
    skipped = [Skipped(path, f"duplicate of {first}", first) for path, first in (copies or {}).items()]
    skipped += [Skipped(path, "is truncated") for path in broken]
    return Pool(root, images, tuple(sorted(skipped, key=lambda one: one.path)))


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """Six images in two class folders below ``photographs``."""
    return on_paper(tmp_path / "photographs", *(f"{name}/{k}.jpg" for name in ("rose", "tulip") for k in (1, 2, 3)))


@pytest.fixture(scope="session")
def paper():
    """Make a pool of images that are only named."""
    return on_paper
