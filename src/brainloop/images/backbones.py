"""Backbones: frozen networks that turn an image into a vector, wherever they come from."""

import re
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from brainloop.errors import BackboneError, MissingExtraError

__all__ = ["Backbone", "load_backbone"]


class Backbone(Protocol):
    """A frozen network that embeds images.

    Both methods are called from many threads at a time, and a row of `embed` depends on its own image alone.

    Attributes
    ----------
    name : str
        What a person calls it.
    fingerprint : str
        Hash of weights, preprocessing and output, in hex: vectors of the same fingerprint may be mixed.
    width : int
        Length of a vector.
    batch : int
        Number of images a call of `embed` takes best.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def batch(self) -> int: ...  # noqa: D102

    def prepare(self, rgb: NDArray[np.uint8]) -> NDArray[Any]:
        """Bring one upright RGB image, shape (H, W, 3), to the one shape that `embed` stacks."""
        ...

    def embed(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Embed prepared images, shape (n, ...), as vectors, shape (n, width)."""
        ...


def load_backbone(spec: str | Path, *, output: str | None = None, threads: int = 1) -> Backbone:
    """Load a backbone.

    Parameters
    ----------
    spec : str or Path
        ``builtin`` (HOG and colour, no weights); an ONNX file or a folder with one, as model hubs lay it out,
        and its `preprocessor_config.json`; the id of a hub repository of such files, ``org/name``; or
        ``timm:NAME``.
    output : str, optional
        Name of the network's output to take as the vector, where there are several; by default the one that
        looks most like features.
    threads : int
        Threads of one call. One is the fastest for :func:`brainloop.images.embeddings.embed`, which makes as
        many calls at a time as there are cores; more make a single call faster.

    Raises
    ------
    BackboneError
        There is no such backbone, or it cannot be used.
    MissingExtraError
        The backbone needs an extra that does not import here.
    """
    if spec == "builtin":
        from brainloop.images.builtin import BuiltinBackbone

        _no_output(output, "the built-in backbone")
        return BuiltinBackbone()
    if isinstance(spec, str) and spec.startswith("timm:"):
        from brainloop.images.timm import TimmBackbone

        _no_output(output, "a timm backbone")
        return TimmBackbone(spec.removeprefix("timm:"))
    from brainloop.images.onnx import OnnxBackbone

    path = Path(spec).expanduser()
    if not path.exists():
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", str(spec)) or path.suffix == ".onnx":
            raise BackboneError(
                "expected 'builtin', an ONNX file or its folder, a hub repository 'org/name' or 'timm:NAME', "
                f"found nothing at {spec}"
            )
        path = _download(str(spec))
    return OnnxBackbone(path, name=str(spec), output=output, threads=threads)


def _download(repository: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", "hub", f"the hub repository {repository}", error) from error
    # Hubs keep many precisions side by side: only the plain one is fetched.
    wanted = ["preprocessor_config.json", "model.onnx*", "onnx/model.onnx*"]
    try:
        return Path(snapshot_download(repository, allow_patterns=wanted))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise BackboneError(
            f"there is no file {repository}, nor can the hub's repository of that name be fetched: {error}"
        ) from error


def _no_output(output: str | None, what: str) -> None:
    if output is not None:
        raise BackboneError(f"{what} has one output, so none can be chosen; got {output!r}: leave it out")
