"""What the backbone's own classes say of a target, without any label of ours: a control row."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from scipy.special import softmax

from brainloop._types import FloatArray
from brainloop.errors import BackboneError
from brainloop.images.backbones import load_backbone
from brainloop.images.embeddings import embed
from brainloop.images.pool import Image

__all__ = ["own_score"]

IMAGENET = {
    "airplane": (404,),
    "cat": tuple(range(281, 286)),
    "daisy": (985,),
    "dog": tuple(range(151, 269)),
    "frog": (30, 31, 32),
    "other_coupe_convertible": (511,),
    "sports_car": (817,),
    "suv_van_pickup": (609, 656, 717),
}
"""Indices of ILSVRC 2012's thousand classes for targets that the documentation uses (airliner, domestic cats, daisy,
dogs, frogs, convertible, sports car, jeep with minivan and pickup); for a target without one there is no row."""


def own_score(
    backbone: str, target: str, images: Sequence[Image], root: Path, cache: Path
) -> tuple[FloatArray | None, str]:
    """Give the probability of the target by the backbone's own class output.

    The classes are those of the target's name in ``id2label`` of the ``config.json`` beside the backbone, or, where
    there is no such file and the output has 1,000 classes, ImageNet's.

    Parameters
    ----------
    backbone : str
        As for `brainloop.images.backbones.load_backbone`.
    target : str
        What is looked for.
    images : sequence of Image
        Which images.
    root, cache : Path
        Where they lie, and where vectors are kept.

    Returns
    -------
    score : array, shape (n_images,), or None
        Sum of the softmax over the classes.
    about : str
        Which classes, or why there is no score.
    """
    try:
        network = load_backbone(backbone, output="logits")
    except BackboneError:
        return None, "the backbone has no class output named 'logits'"
    labels = _labels(Path(backbone))
    if labels:
        classes = tuple(index for index, label in labels.items() if target_names(label) & target_names(target))
    else:
        classes = IMAGENET.get(target, ()) if network.width == 1000 else ()
    if not classes:
        return None, f"none of the backbone's {network.width} classes is known to be {target!r}"
    logits = embed(images, root, network, cache).rows(image.hash for image in images)
    return softmax(logits, axis=1)[:, list(classes)].sum(axis=1), (
        f"class {', '.join(map(str, classes))}" if len(classes) < 6 else f"{len(classes)} classes from {classes[0]} on"
    )


def target_names(label: str) -> set[str]:
    """Give the names in a label such as ``tabby, tabby cat``: small letters, words apart by one space, no plural."""
    names = (re.sub(r"[^a-z0-9]+", " ", name.lower()).strip() for name in label.split(","))
    return {name.removesuffix("s") for name in names if name}


def _labels(backbone: Path) -> dict[int, str]:
    """Read ``id2label``, where the backbone is a folder, or a file in one, with a ``config.json``."""
    for folder in (backbone, *backbone.parents[:2]) if backbone.exists() else ():
        path = folder / "config.json"
        if path.is_file():
            known = json.loads(path.read_text(encoding="utf-8")).get("id2label") or {}
            return {int(index): str(label) for index, label in known.items()}
    return {}
