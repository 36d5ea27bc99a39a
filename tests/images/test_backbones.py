import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from brainloop.errors import BackboneError, MissingExtraError
from brainloop.images.backbones import Backbone, load_backbone

MakeOnnx = Callable[..., Path]
RGB = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
MEAN_COLOUR = RGB.mean(axis=(0, 1)) / 255


def embedded(backbone: Backbone, count: int = 1) -> np.ndarray:
    return backbone.embed(np.stack([backbone.prepare(np.roll(RGB, shift, axis=2)) for shift in range(count)]))


@pytest.fixture(params=["builtin", "onnx", "onnx of a fixed batch", "mobilenetv2_100"])
def backbone(request: pytest.FixtureRequest, make_onnx: MakeOnnx, tmp_path: Path) -> Backbone:
    """Every kind of backbone that runs here, to be put through the contract below."""
    if request.param == "builtin":
        return load_backbone("builtin")
    if request.param == "mobilenetv2_100":
        shared: Path = request.getfixturevalue("shared")
        return load_backbone(shared / "backbones" / "mobilenetv2_100")
    return load_backbone(make_onnx(tmp_path / "model.onnx", batch="n" if request.param == "onnx" else 2))


def test_a_backbone_gives_one_finite_row_an_image_of_its_width(backbone: Backbone) -> None:
    vectors = embedded(backbone, 5)
    assert vectors.shape == (5, backbone.width)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()


def test_a_row_depends_on_its_own_image_alone(backbone: Backbone) -> None:
    together = embedded(backbone, 5)
    alone = backbone.embed(backbone.prepare(RGB)[np.newaxis])
    np.testing.assert_allclose(together[:1], alone, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (3, 200), (300, 20)])
def test_images_of_any_size_and_shape_can_be_stacked(backbone: Backbone, shape: tuple[int, int]) -> None:
    odd = np.full((*shape, 3), 128, dtype=np.uint8)
    batch = np.stack([backbone.prepare(odd), backbone.prepare(RGB)])
    assert np.isfinite(backbone.embed(batch)).all()


def test_a_black_image_has_a_finite_vector(backbone: Backbone) -> None:
    assert np.isfinite(backbone.embed(backbone.prepare(np.zeros_like(RGB))[np.newaxis])).all()


def test_an_output_called_features_is_preferred_to_class_scores(make_onnx: MakeOnnx, tmp_path: Path) -> None:
    backbone = load_backbone(make_onnx(tmp_path / "model.onnx", ("logits", "features")))
    np.testing.assert_allclose(embedded(backbone)[0], MEAN_COLOUR, atol=1e-5)


@pytest.mark.parametrize("output", ["logits", "features"])
def test_an_output_can_be_named(make_onnx: MakeOnnx, tmp_path: Path, output: str) -> None:
    backbone = load_backbone(make_onnx(tmp_path / "model.onnx"), output=output)
    np.testing.assert_allclose(embedded(backbone)[0], MEAN_COLOUR * (2 if output == "logits" else 1), atol=1e-5)


def test_an_unknown_output_is_an_error_that_lists_those_there_are(make_onnx: MakeOnnx, tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"no output 'nothing' in .*: it has logits, features"):
        load_backbone(make_onnx(tmp_path / "model.onnx"), output="nothing")


def test_class_scores_are_taken_where_there_is_nothing_else(make_onnx: MakeOnnx, tmp_path: Path) -> None:
    np.testing.assert_allclose(
        embedded(load_backbone(make_onnx(tmp_path / "model.onnx", ("logits",))))[0], MEAN_COLOUR * 2, atol=1e-5
    )


@pytest.mark.parametrize(("output", "factor"), [("with_class_token", 10), ("tokens", 1), ("maps", 1)])
def test_tokens_and_maps_become_one_vector(make_onnx: MakeOnnx, tmp_path: Path, output: str, factor: float) -> None:
    backbone = load_backbone(make_onnx(tmp_path / "model.onnx", (output,)))
    np.testing.assert_allclose(embedded(backbone)[0], MEAN_COLOUR * factor, atol=1e-5)


def test_a_network_in_half_precision_runs(make_onnx: MakeOnnx, tmp_path: Path) -> None:
    backbone = load_backbone(make_onnx(tmp_path / "model.onnx", elem_type=TensorProto.FLOAT16))
    np.testing.assert_allclose(embedded(backbone)[0], MEAN_COLOUR, atol=1e-2)


def test_a_network_with_weights_in_another_file_runs_and_they_are_part_of_its_fingerprint(
    make_onnx: MakeOnnx, tmp_path: Path
) -> None:
    before = load_backbone(make_onnx(tmp_path / "model.onnx", external=True))
    np.testing.assert_allclose(embedded(before)[0], MEAN_COLOUR, atol=1e-5)
    weights = tmp_path / "weights.bin"
    changed = weights.read_bytes().replace(np.float32(1).tobytes(), np.float32(2).tobytes())
    assert changed != weights.read_bytes()
    weights.write_bytes(changed)
    assert load_backbone(tmp_path).fingerprint != before.fingerprint


def test_the_fingerprint_changes_with_weights_preprocessing_and_output_and_with_nothing_else(
    make_onnx: MakeOnnx, tmp_path: Path
) -> None:
    first = load_backbone(make_onnx(tmp_path / "a" / "model.onnx"))
    moved = load_backbone(make_onnx(tmp_path / "b" / "other_name.onnx"))
    assert moved.fingerprint == first.fingerprint
    config = json.loads((tmp_path / "a" / "preprocessor_config.json").read_text())
    others = [
        load_backbone(make_onnx(tmp_path / "c" / "model.onnx", ("features", "maps"))),
        load_backbone(make_onnx(tmp_path / "d" / "model.onnx"), output="logits"),
        load_backbone(make_onnx(tmp_path / "e" / "model.onnx", config={**config, "resample": 3})),
        load_backbone("builtin"),
    ]
    assert len({first.fingerprint, *(other.fingerprint for other in others)}) == 5


@pytest.mark.parametrize("layout", ["onnx/model.onnx", "model.onnx", "anything.onnx"])
@pytest.mark.parametrize("config", ["beside", "above"])
def test_a_folder_as_hubs_lay_it_out_is_understood(
    make_onnx: MakeOnnx, tmp_path: Path, layout: str, config: str
) -> None:
    file = make_onnx(tmp_path / "repository" / layout)
    if config == "above":
        (file.parent / "preprocessor_config.json").rename(file.parent.parent / "preprocessor_config.json")
    assert load_backbone(tmp_path / "repository").width == 3
    assert load_backbone(str(file)).width == 3


def test_a_folder_of_several_networks_asks_for_one(make_onnx: MakeOnnx, tmp_path: Path) -> None:
    make_onnx(tmp_path / "small.onnx")
    make_onnx(tmp_path / "large.onnx")
    with pytest.raises(BackboneError, match=r"found several: large.onnx, small.onnx; name one"):
        load_backbone(tmp_path)


def test_a_folder_without_a_network_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"expected onnx/model.onnx or model.onnx in .*found no .onnx file"):
        load_backbone(tmp_path)


def test_a_network_without_its_preprocessing_is_an_error(make_onnx: MakeOnnx, tmp_path: Path) -> None:
    file = make_onnx(tmp_path / "model.onnx")
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(BackboneError, match=r"expected the backbone's preprocessing at .*found nothing"):
        load_backbone(file)


def test_preprocessing_to_another_size_than_the_networks_is_an_error(make_onnx: MakeOnnx, tmp_path: Path) -> None:
    file = make_onnx(tmp_path / "model.onnx", size=8)
    config = json.loads((tmp_path / "preprocessor_config.json").read_text())
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**config, "size": {"height": 9, "width": 9}}))
    with pytest.raises(BackboneError, match=r"preprocessing gives n x \(3, 9, 9\), but .* takes pixels"):
        load_backbone(file)


def test_a_network_of_undeclared_size_takes_what_its_preprocessing_gives(make_onnx: MakeOnnx, tmp_path: Path) -> None:
    assert load_backbone(make_onnx(tmp_path / "model.onnx", ("features",), size="side")).width == 3


def test_a_file_that_is_no_network_is_an_error(make_onnx: MakeOnnx, tmp_path: Path) -> None:
    file = make_onnx(tmp_path / "model.onnx")
    file.write_bytes(b"\x00garbage" * 100)
    with pytest.raises(BackboneError, match=r"ONNX Runtime .* cannot load .*model.onnx"):
        load_backbone(file)


def test_nothing_at_all_is_an_error_that_says_what_there_is(tmp_path: Path) -> None:
    for spec in ("nonsense", str(tmp_path / "a" / "b" / "model.onnx")):
        with pytest.raises(BackboneError, match="expected 'builtin', an ONNX file"):
            load_backbone(spec)


def test_the_builtin_backbone_has_no_outputs_to_choose_from() -> None:
    with pytest.raises(BackboneError, match="has one output"):
        load_backbone("builtin", output="features")


def in_a_fresh_process(script: str, *arguments: str, **environment: str) -> str:
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_hub_repository_is_found_in_the_hubs_cache_without_a_network(make_onnx: MakeOnnx, tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "models--someone--tiny"
    make_onnx(repository / "snapshots" / commit / "onnx" / "model.onnx")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    script = """
import sys
from brainloop.errors import BackboneError
from brainloop.images.backbones import load_backbone
sys.stdout.write(f"{load_backbone('someone/tiny').width}\\n")
try:
    load_backbone("someone/else")
except BackboneError as error:
    sys.stdout.write(str(error))
"""
    width, refusal = in_a_fresh_process(script, HF_HUB_OFFLINE="1", HF_HUB_CACHE=str(tmp_path / "hub")).split("\n", 1)
    assert width == "3"
    assert refusal.startswith("there is no file someone/else, nor can the hub's repository of that name be fetched")


@pytest.mark.parametrize(
    ("package", "spec", "extra"), [("huggingface_hub", "someone/tiny", "hub"), ("timm", "timm:resnet18", "timm")]
)
def test_an_extra_that_does_not_import_is_explained_with_its_cause(
    tmp_path: Path, package: str, spec: str, extra: str
) -> None:
    # A package that is there and fails, as torchvision does beside a CPU build of PyTorch.
    (tmp_path / f"{package}.py").write_text("raise ImportError('operator torchvision::nms does not exist')")
    script = """
import sys
from brainloop.errors import MissingExtraError
from brainloop.images.backbones import load_backbone
try:
    load_backbone(sys.argv[1])
except MissingExtraError as error:
    sys.stdout.write(str(error))
"""
    message = in_a_fresh_process(script, spec, PYTHONPATH=str(tmp_path))
    assert "operator torchvision::nms does not exist" in message
    assert f"'.[{extra}]'" in message


def test_timm_that_is_not_installed_is_an_extra_to_install() -> None:
    script = """
import sys
sys.modules["timm"] = None
from brainloop.errors import MissingExtraError
from brainloop.images.backbones import load_backbone
try:
    load_backbone("timm:resnet18")
except MissingExtraError as error:
    sys.stdout.write(str(error))
"""
    message = in_a_fresh_process(script)
    assert message.startswith("the backbone timm:resnet18 needs the package 'timm'")
    assert issubclass(MissingExtraError, ImportError)


def test_the_builtin_backbone_tells_threes_from_other_digits() -> None:
    digits = load_digits()
    backbone = load_backbone("builtin")
    some = np.arange(0, 1797, 5)
    grey = np.round(digits.images[some] * (255 / 16)).astype(np.uint8)
    X = backbone.embed(np.stack([backbone.prepare(image[..., None].repeat(3, -1)) for image in grey]))
    y = digits.target[some] == 3
    half = len(some) // 2
    head = LogisticRegression(C=10, max_iter=1000).fit(X[:half], y[:half])
    assert roc_auc_score(y[half:], head.decision_function(X[half:])) > 0.98


def test_the_right_preprocessing_gives_the_networks_own_class_scores(shared: Path) -> None:
    """The backbone knows a sports car (ImageNet 817) when it sees one: AUC .879 over all cars, by the data's README."""
    from brainloop.images.decode import decode

    backbone = load_backbone(shared / "backbones" / "mobilenetv2_100", output="logits")
    scores, truth = [], []
    for folder in sorted((shared / "data" / "images" / "stanford_cars").iterdir()):
        for path in sorted(folder.glob("*.jpg"))[::20]:
            logits = backbone.embed(backbone.prepare(decode(path))[np.newaxis])[0]
            scores.append(logits[817] - np.logaddexp.reduce(logits))
            truth.append(folder.name == "sports_car")
    assert roc_auc_score(truth, scores) > 0.82
