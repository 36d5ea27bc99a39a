"""Small real networks in ONNX, and small real photographs, for the tests of images."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

CONFIG = {
    "do_resize": True,
    "size": {"height": 8, "width": 8},
    "resample": 2,
    "do_center_crop": False,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": False,
}

MakeOnnx = Callable[..., Path]


@pytest.fixture
def make_onnx() -> MakeOnnx:
    """Write a network whose outputs have closed forms: `features` is the mean colour, `logits` twice that.

    `tokens` are the 64 pixels' colours; `with_class_token` has the mean colour times 10 before them; `maps` are the
    image itself.
    """

    def make(
        file: Path,
        outputs: tuple[str, ...] = ("logits", "features"),
        *,
        batch: int | str = "n",
        size: int | str = 8,
        external: bool = False,
        elem_type: int = TensorProto.FLOAT,
        config: dict[str, object] | None = None,
    ) -> Path:
        shapes: dict[str, list[int | str]] = {
            "features": [batch, 3],
            "logits": [batch, 3],
            "tokens": [batch, 64, 3],
            "with_class_token": [batch, 65, 3],
            "maps": [batch, 3, size, size],
        }
        dtype = np.float16 if elem_type == TensorProto.FLOAT16 else np.float32
        constants = {
            "two": np.asarray(2, dtype),
            "ten": np.asarray(10, dtype),
            "axes": np.asarray([2, 3], np.int64),
            "token_axis": np.asarray([1], np.int64),
            "flat": np.asarray([0, 3, 64], np.int64),
            "identity": np.eye(3, dtype=dtype).reshape(3, 3, 1, 1),
        }
        nodes = [
            helper.make_node("Conv", ["pixels", "identity"], ["maps"]),
            helper.make_node("ReduceMean", ["maps", "axes"], ["features"], keepdims=0),
            helper.make_node("Mul", ["features", "two"], ["logits"]),
            helper.make_node("Reshape", ["maps", "flat"], ["rows"]),
            helper.make_node("Transpose", ["rows"], ["tokens"], perm=[0, 2, 1]),
            helper.make_node("Mul", ["features", "ten"], ["class_colour"]),
            helper.make_node("Unsqueeze", ["class_colour", "token_axis"], ["class_token"]),
            helper.make_node("Concat", ["class_token", "tokens"], ["with_class_token"], axis=1),
        ]
        graph = helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info("pixels", elem_type, [batch, 3, size, size])],
            [helper.make_tensor_value_info(name, elem_type, shapes[name]) for name in outputs],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        )
        model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
        file.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(
            model,
            str(file),
            save_as_external_data=external,
            location="weights.bin" if external else None,
            size_threshold=64,  # of the Python object: the weights of the convolution, and no shapes
        )
        config_file = file.parent / "preprocessor_config.json"
        config_file.write_text(json.dumps(CONFIG if config is None else config), encoding="utf-8")
        return file

    return make


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder of 40 different images of 20 x 30 pixels in two classes."""
    rng = np.random.default_rng(0)
    root = tmp_path / "photographs"
    for number in range(40):
        folder = root / ("cat" if number % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return root
