"""The whole classifier as one ONNX file: pixels of an image of any size to probabilities."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from brainloop._files import write_whole
from brainloop._types import Progress, no_progress
from brainloop.errors import BackboneError, MissingExtraError, StudyError
from brainloop.exports.onnx_after import after
from brainloop.exports.onnx_before import before
from brainloop.exports.onnx_text import OLDEST_OPSET, Network
from brainloop.images.backbones import load_backbone
from brainloop.images.decode import decode
from brainloop.images.onnx import OnnxBackbone
from brainloop.study import Study

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["check_exportable", "export_onnx"]

TOLERANCE = 1e-4
"""How far the file's probabilities, and its log-odds in nats, may be from ours."""

N_CHECKED = 24
"""Images of the study that the file is checked on."""

OLDEST_IR = 7
"""Of the file, in which operators as new as `OLDEST_OPSET` may stand (onnx, docs/Versioning.md)."""

MOST_BYTES = 2**31 - 2**27
"""Of a backbone: a protobuf message, as an ONNX file is, holds less than 2 GiB, and the rest is some tens of MB."""

PREDICT = '''"""python predict.py IMAGE ...: what the model says of each; needs onnxruntime, and Pillow to read it."""

import json, sys
from pathlib import Path
import numpy, onnxruntime
from PIL import Image, ImageOps

model = onnxruntime.InferenceSession(Path(__file__).with_name("model.onnx"), providers=["CPUExecutionProvider"])
names = json.loads(model.get_modelmeta().custom_metadata_map["names"])
for path in sys.argv[1:]:
    pixels = numpy.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    (probability,) = model.run(["probability"], {"image": pixels})
    print(path, *(f"{name} {p:.6f}" for name, p in zip(names, probability)), sep="\\t")
'''
"""The script that goes with it."""


def check_exportable(study: Study) -> None:
    """Say now, before any work, why a study's model cannot be written as ONNX.

    Raises
    ------
    StudyError
        If no round is over yet.
    MissingExtraError
        If the package onnx is not installed.
    BackboneError
        If the backbone is no ONNX file.
    """
    study.head()
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("onnx", "onnx", "writing ONNX", error) from error
    spec = study.settings.backbone
    if spec == "builtin" or spec.startswith("timm:"):
        how = "it is no network" if spec == "builtin" else "export it as ONNX with timm's own onnx_export.py first"
        raise BackboneError(
            f"expected a study on an ONNX backbone to write its model as ONNX; this one's is {spec!r}: {how}. Make the "
            "study on an ONNX backbone, or export the model as safetensors: --what model"
        )


def export_onnx(study: Study, folder: Path, progress: Progress = no_progress) -> None:
    """Write ``model.onnx``, checked against ours, and ``predict.py``.

    The file takes ``image``, uint8 (height, width, 3) of any size, upright RGB, and gives ``probability`` and
    ``log_odds``, float32 (1,) of the target or (K,) of the classes, whose names are its metadata ``names``, as JSON.

    Parameters
    ----------
    study : Study
        With one finished round or more, on an ONNX backbone.
    folder : Path
        Where.
    progress : Progress
        Called with (images checked, images to check).

    Raises
    ------
    BackboneError
        If the backbone cannot be made part of a larger file.
    StudyError
        If the file says something else than the study.
    """
    check_exportable(study)
    model = join(study)
    check(study, model, progress)
    write_whole(folder / "model.onnx", model)
    write_whole(folder / "predict.py", PREDICT.encode())


def join(study: Study) -> bytes:
    """Join preprocessing, backbone, feature map and last head into one graph, as the content of a file."""
    from onnx import checker, compose, helper

    settings = study.settings
    backbone = load_backbone(settings.backbone, output=settings.backbone_output)
    assert isinstance(backbone, OnnxBackbone)  # noqa: S101  # `check_exportable` has seen to it
    body = _read(backbone)
    network = _measure(body, backbone)
    last = after(
        study.feature_map(study.data()), study.head(), network, rounded=settings.precision == "float16",
        n_outputs=len(settings.names),
    )  # fmt: skip
    first = before(backbone.preprocess, network)
    try:
        whole = compose.merge_models(
            first,
            compose.add_prefix(body, "backbone/"),
            io_map=[("pixels", f"backbone/{body.graph.input[0].name}")],
        )
        whole = compose.merge_models(
            whole,
            last,
            io_map=[(f"backbone/{backbone.output}", "raw")],
            name="brainloop",
            doc_string=f"Whether an image shows {', '.join(settings.names)}, learned from a person's glances",
            producer_name="brainloop",
            producer_version=version("brainloop"),
        )
    except (ValueError, TypeError, checker.ValidationError) as error:
        raise BackboneError(f"{backbone.path} cannot be made part of a larger ONNX file: {error}") from error
    del whole.metadata_props[:]  # the backbone's, which may say anything
    opsets = {entry.domain: entry.version for entry in whole.opset_import}  # merging has named each twice
    del whole.opset_import[:]
    whole.opset_import.extend(helper.make_opsetid(domain, number) for domain, number in opsets.items())
    facts = {"names": json.dumps(settings.names), "rounds": str(study.store.rounds()[-1].number)}
    helper.set_model_props(whole, facts)
    return bytes(whole.SerializeToString())


def check(study: Study, model: bytes, progress: Progress = no_progress) -> None:
    """Compare a file's answers with the study's, on images from all over it.

    Raises
    ------
    StudyError
        If they differ by more than `TOLERANCE`.
    """
    data, session, head = study.data(), _session(model), study.head()
    images = [image for part in ("pool", "test") for image in study.store.images() if image.part == part]
    chosen = np.unique(np.linspace(0, len(images) - 1, N_CHECKED).round().astype(int))
    n_pool = len(data.pool)
    vectors = [data.pool[row] if row < n_pool else data.test[row - n_pool] for row in chosen]
    features = study.feature_map(data)(np.stack(vectors))
    ours = {"probability": head.probability(features), "log_odds": head.log_odds(features)}
    for done, row in enumerate(chosen):
        progress(done, len(chosen))
        pixels = decode(study.image_path(images[row]))
        for name, theirs in zip(ours, session.run(list(ours), {"image": pixels}), strict=True):
            apart = float(np.abs(np.atleast_1d(ours[name][done]) - theirs).max())
            if not apart <= TOLERANCE:
                raise StudyError(
                    f"expected the ONNX file to give the study's {name} within {TOLERANCE:g}; of {images[row].path} it "
                    f"was {apart:.2g} off, and nothing was written. If the image's file changed since, make a new "
                    "study; if not, export the model as safetensors, and tell us of the backbone"
                )
    progress(len(chosen), len(chosen))


def _read(backbone: OnnxBackbone) -> "ModelProto":
    """Read the backbone's file, up to the output that is taken, in operators that the steps beside it are in."""
    import onnx
    from onnx import utils, version_converter

    body = onnx.load(backbone.path)
    constants = {constant.name for constant in body.graph.initializer}
    inputs = [value.name for value in body.graph.input if value.name not in constants]
    try:
        if next(entry.version for entry in body.opset_import if entry.domain in ("", "ai.onnx")) < OLDEST_OPSET:
            body = version_converter.convert_version(body, OLDEST_OPSET)
        body.ir_version = max(body.ir_version, OLDEST_IR)
        body = utils.Extractor(body).extract_model(inputs, [backbone.output])
    except Exception as error:  # the converter's and the extractor's errors have no common base
        raise BackboneError(
            f"{backbone.path} cannot be made part of a larger ONNX file: {error}; export the model as safetensors"
        ) from error
    if body.ByteSize() > MOST_BYTES:
        raise BackboneError(
            f"expected a backbone of less than 2 GiB, the most that one ONNX file holds; {backbone.path} has "
            f"{body.ByteSize() / 2**30:.1f}: export the model as safetensors"
        )
    return body


def _measure(body: "ModelProto", backbone: OnnxBackbone) -> Network:
    """Say what the steps beside a backbone have to fit, by running it on a black image."""
    session = _session(body.SerializeToString())
    (given,) = session.get_inputs()
    half, batch = given.type == "tensor(float16)", given.shape[0] if isinstance(given.shape[0], int) else 1
    shape = (batch, 3, backbone.preprocess.height, backbone.preprocess.width)
    black: NDArray[Any] = np.zeros(shape, dtype=np.float16 if half else np.float32)
    (raw,) = session.run([backbone.output], {given.name: black})
    opset = next(entry.version for entry in body.opset_import if entry.domain in ("", "ai.onnx"))
    return Network(opset, body.ir_version, batch, half, raw.shape)


def _session(model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its warnings are about the backbone's exporter
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
