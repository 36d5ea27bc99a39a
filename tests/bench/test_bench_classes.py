import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from brainloop.bench import classes
from brainloop.bench.classes import bench_classes
from brainloop.cli_bench import bench
from brainloop.errors import SettingsError
from brainloop.observers.answers import decode

NAMES = ["blue", "green", "red"]


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(0)
    for number in range(120):
        k = number % 3
        pixels = rng.integers(60, 200, (16, 16, 3)) + 50 * np.eye(3, dtype=int)[2 - k]
        (folder / NAMES[k]).mkdir(exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / NAMES[k] / f"{number:03d}.png")
    return folder


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    # The ensemble takes seconds, and nothing here is about it.
    monkeypatch.setattr(classes, "decode", lambda own, **_: decode(own, decoder="lda"))


@pytest.fixture(scope="module")
def figures(colours, recordings, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(classes, "decode", lambda own, **_: decode(own, decoder="lda"))
        return bench_classes(
            colours, [recordings], "builtin", seeds=[0, 1], looks=[60, 120], workers=1,
            cache=tmp_path_factory.mktemp("cache"),
        )  # fmt: skip


def test_every_way_is_measured_on_the_same_images_that_were_never_shown(figures):
    assert figures["classes"] == NAMES
    assert figures["images"] == {"pool": 90, "never_shown": 30}
    confusion = np.array(figures["confusion"])
    assert confusion.sum() == 30 * 2  # two seeds
    assert np.trace(confusion) / confusion.sum() == pytest.approx(figures["accuracy"], abs=1e-4)
    assert confusion.sum(axis=1).tolist() == [20, 20, 20]
    for way in ("talk_one_vs_rest", "brainloop_one_vs_rest", "random_query", "truth"):
        row = figures[way]
        assert row["at"][-1] == pytest.approx(row["accuracy"])
        assert row["gain"][-1] == pytest.approx(figures["accuracy"] - row["accuracy"], abs=1e-4)
        assert len(row["auc"]) == 3


def test_colours_are_told_apart_and_the_truth_tells_them_best(figures):
    assert figures["accuracy"] > 0.5  # a third by chance
    assert figures["truth"]["accuracy"] >= figures["accuracy"]


def test_one_seed_gives_one_result(figures, colours, recordings, tmp_path):
    again = bench_classes(colours, [recordings], "builtin", seeds=[0, 1], looks=[60, 120], workers=1, cache=tmp_path)
    assert json.dumps({**again, "machine": None}) == json.dumps({**figures, "machine": None})


def test_without_a_seed_nothing_is_measured(colours, recordings, tmp_path):
    with pytest.raises(SettingsError, match="one seed or more"):
        bench_classes(colours, [recordings], "builtin", seeds=[], cache=tmp_path)


def test_one_class_alone_is_refused_with_what_is_there(photographs, recordings, tmp_path):
    (tmp_path / "one" / "rose").mkdir(parents=True)
    for path in sorted((photographs / "rose").iterdir())[:5]:
        (tmp_path / "one" / "rose" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(SettingsError, match=r"two class folders or more.*: rose"):
        bench_classes(tmp_path / "one", [recordings], "builtin", seeds=[0], cache=tmp_path / "cache")


def test_the_command_is_as_the_issue_spells_it(colours, recordings, tmp_path):
    words = ["--images", colours, "--recordings", recordings, "--backbone", "builtin", "--seeds", 1, "--looks", 60]
    done = CliRunner().invoke(bench, ["classes", *map(str, words), "--json", str(tmp_path / "classes.json")])
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "classes.json").read_text(encoding="utf-8"))
    assert {"accuracy", "confusion", "talk_one_vs_rest", "command"} <= set(figures)
    assert figures["looks"] == [60]
    assert figures["seeds"] == [1000]
