"""Decoders on disk: one safetensors file, arrays and a description in JSON; nothing in it can be run.

Every member is plain arrays, so that nothing is left for a format that keeps Python objects (pickle, or skops).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from math import isfinite
from pathlib import Path
from typing import Any, get_args

import numpy as np

from brainloop import __version__
from brainloop._files import write_whole
from brainloop._types import FloatArray
from brainloop.decoder.decoder import BrainDecoder
from brainloop.decoder.lda import Linear
from brainloop.decoder.members import Model
from brainloop.decoder.tangent import Tangent
from brainloop.eeg.layout import Layout
from brainloop.errors import DecoderError
from brainloop.evidence import Calibration, Method

__all__ = ["FORMAT", "load_decoder", "save_decoder"]

FORMAT = 1
"""Version of the files; to be raised whenever a decoder of old files would score otherwise, or not at all."""

KEY = "brainloop_decoder"
"""Of the description among the file's metadata."""

REMEDY = "calibrate and save the decoder again, or take the file from where it was made"


def save_decoder(decoder: BrainDecoder, path: Path) -> None:
    """Write a trained decoder, all but its out-of-fold scores (`held_out_`).

    The file is written whole or not at all. A member's arrays are named "member/field", those of networks
    "member/state/name"; "alignment" is that to other people and "limits" those of soft clipping, where there are any.

    Parameters
    ----------
    decoder : BrainDecoder
        Trained.
    path : Path
        Ends in ``.safetensors`` by custom.

    Raises
    ------
    DecoderError
        If the decoder is not trained.
    """
    from safetensors.numpy import save

    if not hasattr(decoder, "calibration_"):
        raise DecoderError("expected a trained decoder to save: call fit first")
    arrays: dict[str, FloatArray] = {}
    if decoder.alignment_ is not None:
        arrays["alignment"] = np.asarray(decoder.alignment_, order="C")
    if decoder.limits_ is not None:
        arrays["limits"] = decoder.limits_
    members = {}
    for name, model in decoder.members_.items():
        kept, said = _apart(model)
        arrays |= {f"{name}/{field}": np.asarray(values, order="C") for field, values in kept.items()}
        members[name] = {"class": type(model).__name__, **said}
    about = {
        "format": FORMAT,
        "brainloop": __version__,
        **decoder.get_params(),
        "classes": decoder.classes_.tolist(),
        "shape": list(decoder.shape_),
        "layout": None if decoder.layout_ is None else decoder.layout_.to_dict(),
        "aligned": decoder.alignment_ is not None,
        "clipped": decoder.limits_ is not None,
        "members": members,
        "evidence": asdict(decoder.calibration_),
        **{name: getattr(decoder, f"{name}_") for name in (*NUMBERS, *COUNTS, *BY_MEMBER)},
    }
    write_whole(path, save(arrays, metadata={KEY: json.dumps(about, allow_nan=False)}))


def load_decoder(path: Path) -> BrainDecoder:
    """Read a decoder that `save_decoder` wrote; its scores and evidence are the same to the last bit.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    BrainDecoder
        Trained; without `held_out_`.

    Raises
    ------
    DecoderError
        If there is no such file; or it is cut off, of another kind or format, lacks an array, has one too many, or
        holds one of another shape or with values that are not finite.
    """
    about, arrays = _read(path)
    try:
        decoder, members = _described(about)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise DecoderError(f"{path} does not describe a decoder as brainloop writes it ({what}): {REMEDY}") from error
    n_channels = decoder.shape_[0]
    before: dict[str, FloatArray] = {name: arrays.pop(name) for name in ("alignment", "limits") if name in arrays}
    expected: dict[str, tuple[int, ...]] = {"alignment": (n_channels, n_channels)} if about["aligned"] else {}
    _check(before, expected | ({"limits": (n_channels,)} if about["clipped"] else {}), f"{path}")
    decoder.alignment_, decoder.limits_ = before.get("alignment"), before.get("limits")
    own: dict[str, dict[str, FloatArray]] = {name: {} for name in members}
    for name, values in arrays.items():
        member, _, field = name.partition("/")
        if member not in own:
            raise DecoderError(f"{path} holds {name!r}, of no member that it describes: {REMEDY}")
        own[member][field] = values
    decoder.members_ = {
        name: _member(said, own[name], decoder.shape_, f"{path}: {name}") for name, said in members.items()
    }
    return decoder


NUMBERS = ("scale", "prevalence", "auc", "auc_low")
COUNTS = ("n_targets", "n_nontargets")
BY_MEMBER = ("centre", "spread", "contributions")


def _apart(model: Model) -> tuple[dict[str, FloatArray], dict[str, Any]]:
    """Take a member apart: its arrays, and the plain values beside them."""
    arrays: dict[str, FloatArray] = {}
    said = {}
    for field in fields(model):  # type: ignore[arg-type]  # every member is a dataclass
        value = getattr(model, field.name)
        if isinstance(value, dict):
            arrays |= {f"{field.name}/{name}": values for name, values in value.items()}
        elif isinstance(value, np.ndarray):
            arrays[field.name] = value
        else:
            said[field.name] = value
    return arrays, said


def _read(path: Path) -> tuple[Mapping[str, Any], dict[str, FloatArray]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(KEY)
            # A file of another program may hold types that NumPy lacks: none is read before it is known as ours.
            arrays = {} if text is None else {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError) as error:
        raise DecoderError(f"expected a decoder that brainloop saved at {path}: {error}; {REMEDY}") from error
    if text is None:
        raise DecoderError(f"expected a decoder that brainloop saved at {path}, got arrays of another program")
    try:
        about = json.loads(text)
    except (RecursionError, ValueError) as error:
        raise DecoderError(f"{path}: its description is not JSON ({error}): {REMEDY}") from error
    came = about.get("format") if isinstance(about, dict) else None
    if came != FORMAT:
        version = about.get("brainloop", "unknown") if isinstance(about, dict) else "unknown"
        raise DecoderError(
            f"expected a decoder in format {FORMAT}, got format {came!r}, written by brainloop {version}, at {path}: "
            f"install the brainloop that wrote it, or calibrate and save again with this one ({__version__})"
        )
    return about, arrays


def _described(about: Mapping[str, Any]) -> tuple[BrainDecoder, dict[str, dict[str, Any]]]:
    """Make the decoder without its members; give what is said of those. Whatever does not fit raises."""
    decoder = BrainDecoder(about["method"], about["calibration"], about["random_state"])
    decoder.classes_ = np.array(about["classes"])
    n_channels, n_times = map(int, about["shape"])
    decoder.shape_ = (n_channels, n_times)
    decoder.layout_ = None if about["layout"] is None else _layout(about["layout"], decoder.shape_)
    for name in ("aligned", "clipped"):
        if about[name] not in (True, False):
            raise ValueError(f"expected true or false as {name}, got {about[name]!r}")
    members = {str(name): dict(said) for name, said in about["members"].items()}
    for name in NUMBERS:
        setattr(decoder, f"{name}_", _finite(about[name], name))
    for name in COUNTS:
        setattr(decoder, f"{name}_", int(about[name]))
    decoder.centre_ = {name: _finite(about["centre"][name], f"centre of {name}") for name in members}
    decoder.spread_ = {name: _finite(about["spread"][name], f"spread of {name}") for name in members}
    decoder.contributions_ = {
        name: {
            what: None if value is None else _finite(value, f"{what} of {name}")
            for what, value in about["contributions"][name].items()
        }
        for name in members
    }
    decoder.calibration_ = _calibration(about["evidence"])
    for fits, what in (
        (members, "one member or more"),
        (decoder.classes_.shape == (2,) and decoder.classes_[0] != decoder.classes_[1], "two classes"),
        (min(decoder.shape_) > 0, "epochs with channels and samples"),
        (decoder.scale_ > 0, "a scale above 0"),
        (0 < decoder.prevalence_ < 1, "a prevalence between 0 and 1"),
        (all(spread > 0 for spread in decoder.spread_.values()), "spreads above 0"),
    ):
        if not fits:
            raise ValueError(f"expected {what}")
    return decoder, members


def _finite(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"expected a finite number as {what}, got {value!r}")
    return float(value)


def _layout(values: Mapping[str, Any], shape: tuple[int, int]) -> Layout:
    layout = Layout.from_dict(values)
    for name in ("rate", "tmin", "low", "high"):
        _finite(values[name], name)
    if (len(layout.channels), layout.n_times) != shape:
        raise ValueError(f"expected a layout of {shape[0]} channels x {shape[1]} samples")
    return layout


def _calibration(values: Mapping[str, Any]) -> Calibration:
    several = {
        name: tuple(_finite(value, f"one of the calibration's {name}") for value in values[name])
        for name in ("knots", "values", "limits")
    }
    calibration = Calibration(**(dict(values) | several))
    if calibration.method not in get_args(Method):
        raise ValueError(f"expected a calibration among {', '.join(get_args(Method))}, got {calibration.method!r}")
    if not 0 < _finite(calibration.prevalence, "the calibration's prevalence") < 1:
        raise ValueError("expected a calibration's prevalence between 0 and 1")
    if not np.isfinite(calibration.evidence(np.array([-1.0, 1.0]))).all():  # a wrong number of values raises
        raise ValueError("expected a calibration to finite evidence")
    return calibration


def _member(said: Mapping[str, Any], arrays: dict[str, FloatArray], shape: tuple[int, int], where: str) -> Model:
    """Put a member together again, where its arrays are those that its class has at this shape of epochs."""
    kind = said.get("class")
    if kind == "Linear":
        _check(arrays, {"weights": (shape[0], shape[1] // 2), "bias": ()}, where)
        return Linear(**arrays)
    if kind == "Tangent":
        n = _length(arrays, "filters")
        expected = {
            "filters": (n, shape[0]), "responses": (n, shape[1]), "whitener": (2 * n, 2 * n),
            "weights": (n * (2 * n + 1),), "bias": (),
        }  # fmt: skip
        _check(arrays, expected, where)
        return Tangent(**arrays)
    if kind == "Networks":
        from brainloop.decoder.training import NETWORKS, Networks  # late: torch takes a second to import

        if said.get("kind") not in NETWORKS or said.get("n_times") != shape[1] or "soft_limit" not in said:
            raise DecoderError(
                f"{where}: expected a network among {', '.join(NETWORKS)}, of {shape[1]} samples, got "
                f"{said.get('kind')!r} of {said.get('n_times')!r}: {REMEDY}"
            )
        n_components = _length(arrays, "whitener")
        states = _states(NETWORKS[said["kind"]], n_components, shape[1], _length(arrays, "state/readout.weight"))
        _check(arrays, {"whitener": (n_components, shape[0])} | states, where)
        state = {name.removeprefix("state/"): values for name, values in arrays.items() if name != "whitener"}
        limit = None if said["soft_limit"] is None else _finite(said["soft_limit"], "soft limit")
        return Networks(said["kind"], arrays["whitener"], state, shape[1], limit)
    raise DecoderError(f"{where}: expected a member of class Linear, Tangent or Networks, got {kind!r}: {REMEDY}")


def _length(arrays: Mapping[str, FloatArray], name: str) -> int:
    """Length of an array's first dimension; 1 where there is none, which the check of shapes then names."""
    return max(1, arrays[name].shape[0]) if name in arrays and arrays[name].ndim else 1


def _states(network: Any, n_components: int, n_times: int, n_members: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters and buffers that networks of one kind have."""
    import torch

    with torch.device("meta"):  # shapes without memory, whatever size a damaged file asks for
        module = network(n_components, n_times, n_members)
    return {f"state/{name}": tuple(values.shape) for name, values in module.state_dict().items() if values.ndim}


def _check(arrays: Mapping[str, FloatArray], expected: Mapping[str, tuple[int, ...]], where: str) -> None:
    missing, extra = sorted(expected.keys() - arrays.keys()), sorted(arrays.keys() - expected.keys())
    if missing or extra:
        lacks = f"lacks {', '.join(missing)}" if missing else ""
        has = f"has {', '.join(extra)} too many" if extra else ""
        raise DecoderError(f"{where} {' and '.join(filter(None, (lacks, has)))}: {REMEDY}")
    for name, shape in expected.items():
        values = arrays[name]
        dtype = np.float32 if name.startswith("state/") else np.float64
        if values.shape != shape or values.dtype != dtype:
            raise DecoderError(
                f"{where}: expected {name} as {np.dtype(dtype)} of shape {shape}, got {values.dtype} of shape "
                f"{values.shape}: {REMEDY}"
            )
        if not np.isfinite(values).all():
            raise DecoderError(f"{where}: expected finite values in {name}, got NaN or infinity: {REMEDY}")
