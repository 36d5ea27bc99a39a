"""The bench of fusion, small; and once on real photographs with a real recording."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from brainloop.bench import fusion_data
from brainloop.bench.fusion import METHODS, bench_fusion
from brainloop.bench.fusion_data import prepare_fusion
from brainloop.bench.fusion_figures import draw
from brainloop.bench.fusion_markdown import WORDS, tables
from brainloop.cli_bench import bench
from brainloop.eeg.recordings import read_recordings
from brainloop.errors import SettingsError

LABELS = (20, 40, 100)


@pytest.fixture(scope="module")
def data(photographs, recordings, tmp_path_factory):
    return prepare_fusion(photographs, [recordings], "builtin", tmp_path_factory.mktemp("cache"), target="rose")


@pytest.fixture(scope="module")
def figures(data):
    return bench_fusion(replace(data, brains=data.brains[::3]), [0, 1], labels=LABELS, workers=1)


def test_the_json_holds_what_the_issue_names_and_nothing_that_json_does_not_know(figures):
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    for name in METHODS:
        assert set(figures[name]) == {"auc", "sd"}
    assert {"late_shuffled", "stacked_shuffled", "joint_shuffled"} < set(METHODS)
    assert set(figures["targets"]) == {"rose"}


def test_the_top_is_the_cell_nearest_to_the_goal(figures):
    off = [np.hypot(*(cell[name]["auc"] - 0.85 for name in ("classifier", "brain"))) for cell in figures["grid"]]
    nearest = figures["grid"][int(np.argmin(off))]
    assert {key: figures[key] for key in nearest} == nearest
    assert [cell["labels"] for cell in figures["grid"]] == [20, 40] * 2, "100 labels are more than the pool has"


def test_channels_are_halved_down_to_one(data, recordings):
    n = len(read_recordings([recordings])[0].channels)
    assert [brain.channels for brain in data.brains] == [n >> k for k in range(n.bit_length())]


def test_no_epoch_that_answers_an_image_to_learn_from_overlaps_one_that_answers_an_image_to_test_on(data, recordings):
    (recording,) = read_recordings([recordings])
    run = np.repeat(np.arange(len(recording.runs)), [one.onsets.size for one in recording.runs])
    onset = np.concatenate([one.onsets for one in recording.runs])
    for brain in data.brains:
        early, late = ([int(one.response.source.partition("#")[2]) for one in half.epochs] for half in brain.halves)
        assert early
        assert late
        apart = np.abs(onset[early][:, None] - onset[late])
        assert apart[run[early][:, None] == run[late]].min(initial=np.inf) >= 0.9


def test_one_seed_gives_one_result_in_however_many_processes(data):
    few = replace(data, brains=data.brains[-1:])
    alone, together = (bench_fusion(few, [0, 1], labels=LABELS[:1], workers=workers) for workers in (1, 2))
    assert alone == together


def test_mistakes_are_named(photographs, recordings, data, tmp_path):
    with pytest.raises(SettingsError, match="class folder 'tulip'"):
        prepare_fusion(photographs, [recordings], "builtin", tmp_path, target="tulip")
    with pytest.raises(SettingsError, match="one seed or more"):
        bench_fusion(data, [])
    with pytest.raises(SettingsError, match="1000 labels or more"):
        bench_fusion(data, [0], labels=[1000], workers=1)


def test_table_and_picture_show_every_way(figures, tmp_path):
    assert tuple(WORDS) == METHODS
    text = tables(figures)
    assert all(f"| {words} |" in text for words in WORDS.values())
    draw(figures, tmp_path / "uses" / "fusion.png")
    assert (tmp_path / "uses" / "fusion.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_as_the_issue_spells_it(photographs, recordings, data, tmp_path, monkeypatch):
    def look(images, paths, backbone, cache, *, target, progress):
        assert (images, paths, backbone, target) == (photographs, [recordings, recordings], "builtin", "rose")
        return replace(data, brains=data.brains[-1:])

    monkeypatch.setattr(fusion_data, "prepare_fusion", look)
    words = [
        "fusion", "--images", photographs, "--recordings", recordings, recordings, "--backbone", "builtin", "--target",
        "rose", "--seeds", 1, "--json", tmp_path / "fusion.json",
    ]  # fmt: skip
    done = CliRunner().invoke(bench, list(map(str, words)))
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "fusion.json").read_text(encoding="utf-8"))
    assert written["settings"]["seeds"] == [1000]
    assert written["late"]["sd"] is None


def test_on_real_photographs_and_a_real_recording_both_are_better_than_one_and_shuffled_eeg_is_neither(
    shared, tmp_path
):
    folder = tmp_path / "flowers"
    for name, n in (("roses", 80), ("tulips", 230), ("daisy", 230)):
        (folder / name).mkdir(parents=True)
        for path in sorted((shared / "data/images/flower_photos" / name).iterdir())[:n]:
            (folder / name / path.name).symlink_to(path)
    data = prepare_fusion(
        folder, [shared / "data/eeg/gtec-speller/sub-03_task-speller_eeg.fif"],
        str(shared / "backbones/mobilenetv2_100"), tmp_path / "cache", target="roses",
    )  # fmt: skip
    figures = bench_fusion(replace(data, brains=data.brains[:1]), [0, 1], labels=[25], workers=1)
    better = max(figures[name]["auc"] for name in ("classifier", "brain"))
    assert figures["late"]["auc"] > better + 0.03
    for name in ("stacked", "joint"):
        assert figures[name]["auc"] > figures["late"]["auc"] - 0.01
    for name in ("late", "stacked", "joint"):
        assert abs(figures[f"{name}_shuffled"]["auc"] - figures["classifier"]["auc"]) < 0.015
