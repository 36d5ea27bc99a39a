"""Backbones of timm (PyTorch Image Models), for those with a GPU; the extra ``timm``."""

import hashlib
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainloop.errors import BackboneError, MissingExtraError
from brainloop.images.preprocess import Preprocess

__all__ = ["TimmBackbone"]


class TimmBackbone:
    """A pretrained network of timm, without its classification layer, on the GPU where there is one.

    Parameters
    ----------
    model : str
        timm's name of it, for example ``resnet50.a1_in1k``.

    Raises
    ------
    MissingExtraError
        timm or PyTorch does not import here; the message says why.
    BackboneError
        timm has no such model, or its weights cannot be fetched.
    """

    def __init__(self, model: str) -> None:
        try:
            import timm
            import torch
        # Beside a CPU build of PyTorch torchvision, which timm imports, fails with a RuntimeError about an
        # operator.
        except Exception as error:
            raise MissingExtraError("timm", "timm", f"the backbone timm:{model}", error) from error
        self.name = f"timm:{model}"
        self._torch: Any = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            network = timm.create_model(model, pretrained=True, num_classes=0)
        except Exception as error:  # timm, the hub and the network each raise their own
            raise BackboneError(f"timm cannot load {model!r}: {error}") from error
        self._network: Any = network.eval().to(self._device)
        self.preprocess = _preprocess(timm.data.resolve_model_data_config(network))
        self.width = int(network.num_features)
        self.batch = 64 if self._device == "cuda" else 1
        self._lock = threading.Lock()
        digest = hashlib.blake2b(digest_size=16)
        for key, tensor in sorted(network.state_dict().items()):
            digest.update(key.encode())
            digest.update(tensor.cpu().contiguous().view(torch.uint8).numpy().tobytes() if tensor.ndim else b"")
        digest.update(self.preprocess.to_json().encode())
        self.fingerprint = digest.hexdigest()
        self.width = self.embed(self.prepare(np.zeros((8, 8, 3), dtype=np.uint8))[np.newaxis]).shape[1]

    def prepare(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize and crop one image, shape (H, W, 3), to the network's size, shape (h, w, 3)."""
        return self.preprocess(rgb)

    def embed(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed prepared images, shape (n, h, w, 3), as vectors, shape (n, width)."""
        pixels = self.preprocess.normalise(batch)
        # One batch at a time keeps the memory of the GPU bounded; the others decode meanwhile.
        with self._lock, self._torch.inference_mode():
            vectors = self._network(self._torch.from_numpy(pixels).to(self._device))
            return np.asarray(vectors.float().cpu().numpy(), dtype=np.float32)


def _preprocess(config: dict[str, Any]) -> Preprocess:
    """Turn timm's evaluation transform into the same steps; its sources: timm/data/transforms_factory.py."""
    _, height, width = config["input_size"]
    filters = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
    mode = config.get("crop_mode", "center")
    scaled = (int(height / config["crop_pct"]), int(width / config["crop_pct"]))
    if mode not in ("center", "squash") or (mode == "center" and height != width):
        raise BackboneError(f"expected a centre crop of a square or a squashed image, found crop_mode {mode!r}")
    return Preprocess.from_config(
        {
            "size": {"shortest_edge": scaled[0]} if mode == "center" else {"height": scaled[0], "width": scaled[1]},
            "resample": filters[config["interpolation"]],
            "crop_size": {"height": height, "width": width},
            "image_mean": list(config["mean"]),
            "image_std": list(config["std"]),
        }
    )
