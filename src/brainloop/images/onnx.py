"""Backbones in ONNX, run by ONNX Runtime on the processor's cores."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from brainloop.errors import BackboneError
from brainloop.images.preprocess import Preprocess

__all__ = ["OnnxBackbone"]

# What exporters call the vector, the better first; matched as parts of the name. Class scores come last of
# all: they are a projection that has thrown away whatever its classes do not need.
_FEATURES = ("features", "image_embeds", "embedding", "pooler_output", "pooled", "last_hidden_state")
_SCORES = ("logits", "probs", "prob", "softmax", "scores", "output_class")

_RECIPE = "1"  # part of every fingerprint: to be raised when what is made of an output changes

_FLOATS: dict[str, type[np.floating[Any]]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


_LOCATION = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])", re.DOTALL)


class OnnxBackbone:
    """A vision network in ONNX.

    An output of shape (n, width) is taken as it is. Of tokens (n, t, width) the first is taken, which is the
    class token, unless t is a square number: then there is none, only a grid of patches, and their mean is
    taken. Of maps (n, width, h, w) the mean over h and w is taken.

    Parameters
    ----------
    path : Path
        An ONNX file, or a folder that holds `onnx/model.onnx` or `model.onnx`; `preprocessor_config.json`
        lies beside the file or in the folder above.
    name : str
        What to call it in messages.
    output : str, optional
        Name of the output to take.
    threads : int
        Threads of one call; with 1, calls from several threads run side by side without waiting for each
        other.

    Attributes
    ----------
    path : Path
        Of the ONNX file.
    output : str
        Name of the output that is taken.

    Raises
    ------
    BackboneError
        The file is missing or no network, or it does not fit its preprocessing, or has no such output.
    """

    def __init__(self, path: Path, *, name: str, output: str | None = None, threads: int = 1) -> None:
        model = self.path = _find_model(path)
        self.name = name
        self.preprocess = Preprocess.from_json(_find_config(model))
        # Measured on MobileNetV2 and two cores: 2.1 ms an image in batches of 1, 2.8 in 8, 4.2 in 32, as a
        # single image's maps stay in the cache. Nor does a row then depend on its neighbours, not even in the
        # last bit.
        self.batch = 1
        self._session = _open_session(model, threads)
        self._input, self._dtype, self._fixed = _check_input(self._session, self.preprocess, model)
        self.output = _choose_output(self._session.get_outputs(), output, model)
        self.width = self._probe(model)
        self.fingerprint = self._hash(model)

    def prepare(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize and crop one image, shape (H, W, 3), to the network's size, shape (h, w, 3)."""
        return self.preprocess(rgb)

    def embed(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed prepared images, shape (n, h, w, 3), as vectors, shape (n, width)."""
        pixels = self.preprocess.normalise(batch).astype(self._dtype, copy=False)
        if self._fixed is None:
            return _pool(self._run(pixels))
        pieces = []
        for start in range(0, len(pixels), self._fixed):
            piece = pixels[start : start + self._fixed]
            missing = self._fixed - len(piece)
            padded = np.concatenate([piece, np.repeat(piece[-1:], missing, axis=0)]) if missing else piece
            pieces.append(_pool(self._run(padded))[: len(piece)])
        return np.concatenate(pieces)

    def _run(self, pixels: NDArray[np.floating[Any]]) -> NDArray[Any]:
        try:
            return np.asarray(self._session.run([self.output], {self._input: pixels})[0])
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise BackboneError(f"{self.name} failed on a batch of shape {pixels.shape}: {error}") from error

    def _probe(self, model: Path) -> int:
        """Width of a vector, from one black image: what a file declares may be missing or wrong."""
        black = np.zeros((1, self.preprocess.height, self.preprocess.width, 3), dtype=np.uint8)
        vectors = self.embed(black)
        if vectors.shape[0] != 1 or vectors.shape[1] == 0:
            raise BackboneError(f"output {self.output!r} of {model} gave shape {vectors.shape} for one image")
        return int(vectors.shape[1])

    def _hash(self, model: Path) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for file in _files(model):
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, hashlib.blake2b).digest())
        for text in (self.preprocess.to_json(), self.output, _RECIPE):
            digest.update(hashlib.blake2b(text.encode()).digest())
        return digest.hexdigest()


def _find_model(path: Path) -> Path:
    if path.is_file():
        return path
    for candidate in (path / "onnx" / "model.onnx", path / "model.onnx"):
        if candidate.is_file():
            return candidate
    found = sorted([*path.glob("onnx/*.onnx"), *path.glob("*.onnx")])
    if len(found) == 1:
        return found[0]
    which = f"several: {', '.join(file.name for file in found)}; name one" if found else "no .onnx file at all"
    raise BackboneError(f"expected onnx/model.onnx or model.onnx in {path}, found {which}")


def _find_config(model: Path) -> Path:
    beside = model.parent / "preprocessor_config.json"
    above = model.parent.parent / "preprocessor_config.json"
    return above if above.is_file() and not beside.is_file() else beside


def _open_session(model: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # its warnings are about the exporter's work, and nothing here can heed them
    # Threads that spin while they wait take the cores from the threads that decode: 8.5 ms an image instead
    # of 4.4 beside other work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common base
        raise BackboneError(f"ONNX Runtime {ort.__version__} cannot load {model}: {error}") from error


def _check_input(
    session: ort.InferenceSession, preprocess: Preprocess, model: Path
) -> tuple[str, type[np.floating[Any]], int | None]:
    """Name, type and fixed batch size, if any, of the one input."""
    inputs = session.get_inputs()
    described = ", ".join(f"{node.name}: {node.type} {node.shape}" for node in inputs)
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _FLOATS:
        raise BackboneError(f"expected one float input of n x 3 x height x width in {model}, found {described}")
    batch, *size = inputs[0].shape
    wanted = (3, preprocess.height, preprocess.width)
    if any(isinstance(has, int) and has != want for has, want in zip(size, wanted, strict=True)):
        raise BackboneError(f"its preprocessing gives n x {wanted}, but {model} takes {described}")
    return inputs[0].name, _FLOATS[inputs[0].type], batch if isinstance(batch, int) else None


def _choose_output(outputs: Sequence[Any], wanted: str | None, model: Path) -> str:
    names = [node.name for node in outputs]
    if wanted is not None:
        if wanted not in names:
            raise BackboneError(f"no output {wanted!r} in {model}: it has {', '.join(names)}")
        return wanted

    def rank(node: Any) -> tuple[int, int, int]:
        name = node.name.lower()
        feature = next((i for i, part in enumerate(_FEATURES) if part in name), len(_FEATURES))
        flat = 0 if node.shape is not None and len(node.shape) == 2 else 1
        return any(part in name for part in _SCORES), feature, flat

    return str(min(outputs, key=rank).name)


def _pool(values: NDArray[Any]) -> NDArray[np.float32]:
    """Make one vector an image of whatever the network gives; see the class."""
    if values.ndim == 3:
        grid = round(values.shape[1] ** 0.5) ** 2 == values.shape[1]
        values = values.mean(axis=1, dtype=np.float32) if grid else values[:, 0]
    elif values.ndim == 4:
        values = values.mean(axis=(2, 3), dtype=np.float32)
    elif values.ndim != 2:
        raise BackboneError(f"expected an output of 2 to 4 dimensions, found {values.shape}: name another output")
    return np.asarray(values, dtype=np.float32)


def _files(model: Path) -> Iterator[Path]:
    """Yield the model, then the files beside it that hold its external tensors.

    In ONNX's protobuf an external tensor names its file in an entry of key `location`: tag 0x0a, length 8, "location",
    tag 0x12, length, name (onnx.proto, StringStringEntryProto). Reading these needs no onnx package.
    """
    yield model
    content = model.read_bytes()
    names = {content[found.end() : found.end() + found.group(1)[0]] for found in _LOCATION.finditer(content)}
    for name in sorted(names):
        file = model.parent / name.decode(errors="replace")
        if file.is_file() and file.resolve().is_relative_to(model.parent.resolve()):
            yield file
