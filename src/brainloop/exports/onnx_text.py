"""ONNX graphs from their own text form, one node a line, beside the arrays that they use."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from brainloop._types import FloatArray

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["OLDEST_OPSET", "Arrays", "Network", "double", "graph_of", "integers", "numbers"]

OLDEST_OPSET = 13
"""Of the operators that our steps are written in, in the form that they are written; every later set has them too."""

Arrays = dict[str, NDArray[Any]]
"""What steps use, by name."""


@dataclass(frozen=True)
class Network:
    """What the steps beside a backbone have to fit.

    Parameters
    ----------
    opset, ir_version : int
        Of its file.
    batch : int
        Images that it takes at a time.
    half : bool
        Whether it takes float16.
    shape : tuple of int
        Of its output: vectors (n, width), tokens (n, t, width) or maps (n, width, h, w).
    """

    opset: int
    ir_version: int
    batch: int
    half: bool
    shape: tuple[int, ...]


def graph_of(
    room: str, inputs: str, outputs: str, steps: str, arrays: Mapping[str, NDArray[Any]], network: Network
) -> "ModelProto":
    """Read steps, and put those arrays beside them that they use; all but inputs and outputs is named ``room/NAME``."""
    from onnx import numpy_helper, parser

    head = f'<ir_version: {network.ir_version}, opset_import: ["" : {network.opset}]>'
    model = parser.parse_model(f"{head}\n{room} ({inputs}) => ({outputs}) {{\n{steps}\n}}")
    for name in sorted(set(arrays) & set(re.findall(r"\w+", steps))):
        model.graph.initializer.append(numpy_helper.from_array(np.array(arrays[name], order="C"), f"{room}/{name}"))
    _rename(model.graph, room, {value.name for value in (*model.graph.input, *model.graph.output)})
    return model


def _rename(graph: Any, room: str, kept: set[str]) -> None:
    """Put the room before the names of values, in branches too, which `onnx.compose.add_prefix` leaves half done."""
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [name if name in kept else f"{room}/{name}" for name in names]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, room, kept)
                for value in attribute.g.output:
                    value.name = f"{room}/{value.name}"


def double(array: FloatArray | float) -> FloatArray:
    """Give an array in float64."""
    return np.asarray(array, dtype=np.float64)


def numbers(**values: float) -> Arrays:
    """Give numbers as arrays, float64."""
    return {name: np.asarray(value, dtype=np.float64) for name, value in values.items()}


def integers(**values: int | list[int]) -> Arrays:
    """Give whole numbers, or lists of them, as arrays, int64."""
    return {name: np.asarray(value, dtype=np.int64) for name, value in values.items()}
