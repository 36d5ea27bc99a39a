import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from brainloop.errors import StudyError
from brainloop.exports import export_study
from brainloop.exports.onnx_model import PREDICT, TOLERANCE, check, join
from brainloop.exports.onnx_text import OLDEST_OPSET
from brainloop.images.decode import decode
from brainloop.loop import run
from brainloop.study import Study


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Run a script where onnxruntime, numpy and Pillow can be imported and brainloop cannot."""

    def call(*words):
        # Without site the links to editable installs in site-packages are not followed.
        paths = {"PYTHONPATH": sysconfig.get_paths()["purelib"], "PATH": ""}
        return subprocess.run(
            [sys.executable, "-S", *map(str, words)],
            env=paths,
            capture_output=True,
            text=True,
            cwd=tmp_path_factory.mktemp("away"),
        )

    assert "No module named 'brainloop'" in call("-c", "import brainloop").stderr
    return call


@pytest.mark.parametrize("name", ["roses", "three"])
def test_the_ten_lines_say_of_every_photograph_what_the_study_says_without_brainloop(name, request, tmp_path, alone):
    study = request.getfixturevalue(name)
    (folder,) = export_study(study, tmp_path, ["onnx"])
    assert sorted(path.name for path in folder.iterdir()) == ["model.onnx", "predict.py"]
    assert len((folder / "predict.py").read_text().splitlines()) <= 14
    tested = [image for image in study.store.images() if image.part == "test"]
    done = alone(folder / "predict.py", *(study.image_path(image) for image in tested))
    assert done.returncode == 0, done.stderr
    said = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[0] for line in said] == [str(study.image_path(image)) for image in tested]
    names = [cell.rsplit(" ", 1)[0] for cell in said[0][1:]]
    assert tuple(names) == study.settings.names
    theirs = np.array([[float(cell.rsplit(" ", 1)[1]) for cell in line[1:]] for line in said])
    ours = study.head().probability(study.features(study.data())[1]).reshape(len(tested), -1)
    np.testing.assert_allclose(theirs, ours, atol=TOLERANCE)


def test_the_script_in_the_documentation_is_the_one_that_is_written():
    page = Path(__file__).parents[2] / "docs" / "exports.md"
    assert f"```python\n{PREDICT}```" in page.read_text(encoding="utf-8")


def test_the_file_is_sound_and_says_what_it_is(three):
    content = join(three)
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    assert (image.name, image.type, image.shape[2]) == ("image", "tensor(uint8)", 3)
    assert {(out.name, out.type, *out.shape) for out in session.get_outputs()} == {
        ("probability", "tensor(float)", 3), ("log_odds", "tensor(float)", 3),
    }  # fmt: skip
    about = session.get_modelmeta()
    assert json.loads(about.custom_metadata_map["names"]) == list(three.settings.names)
    assert about.producer_name == "brainloop"
    assert not any("logits" in node.output for node in model.graph.node), "what the backbone's classes need is left out"


def test_log_odds_are_ours_on_every_photograph_to_the_tolerance(roses):
    session = onnxruntime.InferenceSession(join(roses), providers=["CPUExecutionProvider"])
    pool = [image for image in roses.store.images() if image.part == "pool"]
    ours = roses.head().log_odds(roses.features(roses.data())[0])
    theirs = [session.run(["log_odds"], {"image": decode(roses.image_path(image))})[0] for image in pool]
    np.testing.assert_allclose(np.concatenate(theirs), ours, atol=TOLERANCE)


def test_a_file_that_says_something_else_is_not_written(roses, tmp_path, monkeypatch):
    other = roses.head(1)
    monkeypatch.setattr(roses, "head", lambda: other)
    content = join(roses)
    monkeypatch.undo()
    with pytest.raises(
        StudyError, match=r"the study's probability within 0.0001; of .*jpg it was 0.* off, and nothing was written"
    ):
        check(roses, content)


COLOURS = """<ir_version: 3, opset_import: ["" : 9]>
old (float[2, 3, 16, 16] pixels, float[6, 3, 1, 1] mix) => (float[2, 6, h, w] maps, float[2, 6] scores) {
    mixed = Conv (pixels, mix)
    maps = Relu (mixed)
    mean = GlobalAveragePool (maps)
    scores = Flatten (mean)
}"""
"""A network as they were written in 2018: operators of set 9, weights among the inputs, a fixed batch; maps out."""


def test_an_old_network_of_fixed_batch_and_embeddings_kept_as_float16_are_brought_along(tmp_path, photographs, viewer):
    network = onnx.parser.parse_model(COLOURS)
    mix = np.random.default_rng(0).normal(size=(6, 3, 1, 1)).astype(np.float32)
    network.graph.initializer.append(onnx.numpy_helper.from_array(mix, "mix"))
    (tmp_path / "net").mkdir()
    onnx.save(network, tmp_path / "net" / "model.onnx")
    config = {"size": 16, "default_to_square": True, "resample": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "net" / "preprocessor_config.json").write_text(json.dumps(config))
    study = Study.create(
        tmp_path / "study", images=photographs, target="rose", backbone=str(tmp_path / "net"), backbone_output="maps",
        observer="own", precision="float16", looks_per_round=40, max_looks=40,
    )  # fmt: skip
    list(run(study, viewer(study.data().truth)))
    content = join(study)
    check(study, content)
    (opset,) = onnx.load_from_string(content).opset_import
    assert opset.version == OLDEST_OPSET
