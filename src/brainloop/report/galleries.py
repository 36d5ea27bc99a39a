"""Galleries: the images that say most about a classifier, as thumbnails that travel inside the page."""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from PIL import Image
from scipy.special import expit

from brainloop._types import BoolArray, FloatArray, IntArray, Progress, no_progress
from brainloop.errors import ImageError
from brainloop.images.decode import decode
from brainloop.report.findings import Findings
from brainloop.store import PoolImage
from brainloop.study import Study

__all__ = ["Gallery", "Tile", "choose", "in_words", "thumbnail", "thumbnails"]

N_TILES = 12
THUMBNAIL = 160
"""Longer side of a thumbnail, pixels."""


@dataclass(frozen=True)
class Tile:
    """One image of a gallery: what is shown below it; `evidence` and `looks` are None where nobody may look."""

    image: PoolImage
    log_odds: float
    is_target: bool | None
    evidence: float | None = None
    looks: int | None = None

    @property
    def probability(self) -> str:
        """Probability of being a target, in words short enough for a thumbnail."""
        return in_words(float(expit(self.log_odds)))


AnyTile = TypeVar("AnyTile")


@dataclass(frozen=True)
class Gallery(Generic[AnyTile]):
    """Some images, chosen for one reason; `of` says among how many that fit it."""

    name: str
    tiles: list[AnyTile]
    of: int


def in_words(probability: float) -> str:
    """Write a probability so that it never claims certainty."""
    return "< 0.001" if probability < 0.001 else "> 0.999" if probability > 0.999 else f"{probability:.3f}"


def choose(findings: Findings, n: int = N_TILES) -> dict[str, Gallery[Tile]]:
    """Choose the images of each gallery.

    Returns
    -------
    dict of Gallery
        ``targets``, ``nontargets``, ``unsure``: of the pool, by the log-odds it asks by (``findings.asked``).
        Where truth is known ``mistakes``, the surest of the pool that are wrong, and ``test_mistakes``, the same of the
        images never shown, by the classifier alone.
    """
    asked, everything = findings.asked, np.arange(len(findings.pool))
    galleries = {
        "targets": _pool(findings, "targets", _first(np.flatnonzero(asked > 0), -asked), n),
        "nontargets": _pool(findings, "nontargets", _first(np.flatnonzero(asked < 0), asked), n),
        "unsure": _pool(findings, "unsure", _first(everything, np.abs(asked)), n),
    }
    if findings.truth is not None:
        galleries["mistakes"] = _pool(findings, "mistakes", _wrong(asked, findings.truth), n)
    if findings.test_truth is not None:
        z = findings.test_log_odds
        wrong = _wrong(z, findings.test_truth)
        tiles = [Tile(findings.test[k], float(z[k]), bool(findings.test_truth[k])) for k in wrong[:n]]
        galleries["test_mistakes"] = Gallery("test_mistakes", tiles, wrong.size)
    return galleries


def thumbnail(study: Study, image: PoolImage) -> tuple[str, str]:
    """Shrink an image, or blow up a very small one, into a data URI.

    Returns
    -------
    uri, reason : str
        The data URI and nothing; or nothing and why there is none.
    """
    try:
        pixels = decode(study.image_path(image), at_least=THUMBNAIL)
    except ImageError as error:
        return "", str(error)
    picture = Image.fromarray(pixels)
    buffer = io.BytesIO()
    if (factor := THUMBNAIL // max(picture.size)) > 1:
        larger = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
        larger.save(buffer, "PNG", optimize=True)
        return _data_uri("png", buffer), ""
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    picture.save(buffer, "JPEG", quality=82, optimize=True)
    return _data_uri("jpeg", buffer), ""


def thumbnails(
    study: Study, images: Iterable[PoolImage], progress: Progress = no_progress
) -> dict[int, tuple[str, str]]:
    """Make the thumbnail of each image, once, by its id; see `thumbnail`."""
    wanted = {image.id: image for image in images}
    made = {}
    for done, (number, image) in enumerate(wanted.items()):
        progress(done, len(wanted))
        made[number] = thumbnail(study, image)
    progress(len(wanted), len(wanted))
    return made


def _data_uri(kind: str, buffer: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _first(members: IntArray, key: FloatArray) -> IntArray:
    return members[np.argsort(key[members], kind="stable")]


def _wrong(log_odds: FloatArray, truth: BoolArray) -> IntArray:
    return _first(np.flatnonzero(log_odds * np.where(truth, 1, -1) < 0), -np.abs(log_odds))


def _pool(findings: Findings, name: str, order: Sequence[int] | IntArray, n: int) -> Gallery[Tile]:
    tiles = [
        Tile(
            findings.pool[k], float(findings.asked[k]),
            None if findings.truth is None else bool(findings.truth[k]),
            float(findings.belief.evidence[k]), int(findings.times_seen[k]),
        )
        for k in order[:n]
    ]  # fmt: skip
    return Gallery(name, tiles, len(order))
