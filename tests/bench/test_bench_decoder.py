"""The decoder's bench, small: synthetic people, linear decoders."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
from typer.testing import CliRunner

from brainloop.bench import decoder as bench
from brainloop.bench.decoder import PRESTIMULUS, bench_decoder, compare
from brainloop.bench.decoder_epochs import PURGE, Epoched
from brainloop.bench.decoder_figures import draw
from brainloop.bench.decoder_markdown import tables
from brainloop.bench.decoder_transfer import OWN_TRIALS, newcomers, welcome
from brainloop.cli import app
from brainloop.decoder.evaluation import score_folds
from brainloop.eeg.signal import Signal
from brainloop.eeg.synthetic import SyntheticWearer

QUICK = partial(bench_decoder, baselines=("lda",), ensemble="xdawn_lda", permuted="lda", workers=1)


def wear(seed, n, *, dataset="synthetic", prevalence=0.15):
    recording = SyntheticWearer(seed).calibration(n, prevalence=prevalence)
    return replace(recording, name=f"sub-{seed:02d}_task-rsvp", person=f"sub-{seed:02d}", dataset=dataset)


@pytest.fixture(scope="module")
def people():
    """Two people of one data set, and one of another, who saw 36 targets: too few of them in the first 40 %."""
    return [wear(1, 420), wear(2, 420), wear(3, 240, dataset="short")]


@pytest.fixture(scope="module")
def figures(people):
    return QUICK(people, first_seed=7)


TIMES = {"fit_s", "score_ms", "seconds", "speed"}


def without_times(tree):
    if isinstance(tree, dict):
        return {key: without_times(value) for key, value in tree.items() if key not in TIMES}
    return [without_times(entry) for entry in tree] if isinstance(tree, list) else tree


def test_the_figures_have_the_shape_that_was_asked_for(figures):
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert [(row["name"], row["dataset"]) for row in figures["recordings"]] == [
        ("sub-01_task-rsvp", "synthetic"), ("sub-02_task-rsvp", "synthetic"), ("sub-03_task-rsvp", "short"),
    ]  # fmt: skip
    row = figures["recordings"][0]
    assert list(row["methods"]) == ["lda", "xdawn_lda", "control_permuted", "control_prestimulus"]
    for one in row["methods"].values():
        for split in ("blocks", "time"):
            low, high = one[split]["ci"]
            assert 0 <= low <= one[split]["auc"] <= high <= 1
            assert 0 <= one[split]["ece"] <= 1
    for name in ("lda", "xdawn_lda"):
        assert row["methods"][name]["fit_s"] > 0
        assert row["methods"][name]["score_ms"] > 0
    assert list(figures["transfer"]) == ["0", "25", "50", "100", "200", "400"]
    assert figures["settings"]["first_seed"] == 7
    assert figures["machine"]["cores"] >= 1


def test_the_blocks_test_every_trial_and_the_split_in_time_the_last_60_percent(figures):
    row = figures["recordings"][0]
    assert row["methods"]["lda"]["blocks"]["n"] == row["n"] == 420 - row["n_rejected"]
    assert row["methods"]["lda"]["time"]["n"] == row["n"] - int(0.4 * row["n"])


def test_decoders_find_what_is_there_and_controls_what_is_not(figures):
    for row in figures["recordings"][:2]:
        assert row["methods"]["lda"]["blocks"]["auc"] > 0.75
        for split in ("blocks", "time"):
            permuted = row["methods"]["control_permuted"][split]
            assert permuted["auc"] == pytest.approx(0.5, abs=0.05)
            assert permuted["ci"][1] - permuted["ci"][0] < 0.1
            assert row["methods"]["control_prestimulus"][split]["auc"] == pytest.approx(0.5, abs=0.12)


def test_a_method_that_cannot_be_made_says_why_and_the_rest_goes_on(figures):
    short = figures["recordings"][2]["methods"]
    assert "targets" in short["lda"]["time"]["error"]
    assert short["lda"]["blocks"]["auc"] > 0.6
    assert short["lda"]["fit_s"] > 0
    assert "targets" in short["control_prestimulus"]["time"]["error"]
    assert list(figures["datasets"]["short"]) == ["blocks"]


def test_all_but_the_times_follows_from_the_seed(people):
    one, again, other = (without_times(QUICK(people[2:], first_seed=seed)) for seed in (7, 7, 8))
    assert one == again
    assert one["recordings"][0]["methods"]["control_permuted"] != other["recordings"][0]["methods"]["control_permuted"]


def test_progress_ends_where_it_said_it_would(people):
    told = []
    QUICK(people[2:], progress=lambda *at: told.append(at))
    assert told[0] == (0, 4)
    assert told[-1] == (4, 4)
    assert {total for _, total in told} == {4}


def test_several_processes_give_each_job_its_result():
    jobs = [(dict, ([("number", k)],)) for k in range(5)]
    told = []
    assert bench._at_once(jobs, 2, lambda *at: told.append(at)) == [{"number": k} for k in range(5)]
    assert told[-1] == (5, 5)


def test_the_ensemble_is_held_against_the_baseline_of_the_highest_mean_and_against_each_recordings_best():
    def row(name, *aucs):
        made = zip(("a", "b", "ensemble"), aucs, strict=True)
        methods = {method: {"blocks": {"auc": auc}, "time": {"error": "none"}} for method, auc in made}
        return {"name": name, "dataset": "d", "methods": methods}

    rows = [row("one", 0.9, 0.8, 0.95), row("two", 0.7, 0.9, 0.89)]
    compared = compare(rows, ("a", "b"))
    assert list(compared["d"]) == ["blocks"]
    blocks = compared["d"]["blocks"]
    assert (blocks["best"], blocks["n"]) == ("b", 2)
    assert blocks["auc"] == pytest.approx({"a": 0.8, "b": 0.85, "ensemble": 0.92})
    assert blocks["gain"] == pytest.approx(0.07)
    assert blocks["worst"] == {"name": "two", "gain": pytest.approx(-0.01)}


def test_everybody_of_a_data_set_of_several_is_new_in_turn_with_the_channels_that_all_have(people):
    fewer = people[1].pick(people[1].channels[:5])
    met, refused = newcomers([people[0], fewer, people[2]])
    assert [(dataset, person) for dataset, person, _, _ in met] == [("synthetic", "sub-01"), ("synthetic", "sub-02")]
    assert refused == {"short": "one person"}
    for _, _, own, others in met:
        assert own.X.shape[1:] == others[0].X.shape[1:] == (5, len(Signal().times(250)))
    assert own.layout.channels == people[0].channels[:5]


def test_sessions_of_a_person_are_one_person(people):
    again = replace(wear(4, 60), person="sub-01", name="sub-01_ses-02")
    met, _ = newcomers([people[0], again, people[1]])
    assert [len(own.y) for _, _, own, _ in met] == [480, 420]
    assert len(set(met[0][2].runs)) == len(people[0].runs) + len(again.runs)


def test_people_who_cannot_be_brought_together_are_named(people):
    stranger = replace(people[1], channels=tuple(f"x{k}" for k in range(8)))
    met, refused = newcomers([people[0], stranger])
    assert met == []
    assert "channel that all recordings have" in refused["synthetic"]


def test_own_trials_are_the_first_ones_and_overlap_nothing_that_is_tested(people):
    own = Epoched.of(people[0], Signal())
    before, rest = own.after(240)
    assert len(rest) == len(own.y) - 240
    same = own.runs[before][:, None] == own.runs[rest]
    distance = np.abs(own.onsets[before][:, None] - own.onsets[rest])
    assert distance[same].min() >= PURGE
    assert 230 <= len(before) <= 240


def test_a_new_person_is_tested_on_the_same_later_trials_whatever_trained(figures):
    for size in ("0", "25", "50", "100", "200"):
        tested = figures["transfer"][size]["people"]
        assert [(one["person"], one["n"]) for one in tested] == [("sub-01", 180), ("sub-02", 180)]
        assert figures["transfer"][size]["auc"] == pytest.approx(np.mean([one["auc"] for one in tested]), abs=1e-5)
    assert [one["n"] for one in figures["transfer"]["400"]["people"]] == [20, 20]
    assert figures["transfer"]["0"]["auc"] > 0.65


def test_a_new_person_of_few_trials_is_left_out_with_the_reason(people):
    met, _ = newcomers([people[0], replace(people[2], dataset="synthetic")])
    one = welcome(met[1], 0, "lda", 0)
    assert (one["person"], one["n_own"]) == ("sub-03", 0)
    assert "more than 240 usable trials of a new person, got 240" in one["error"]


def test_the_ensemble_can_be_trained_on_the_tenth_of_a_second_before_the_image(people):
    before = Epoched.of(people[0], PRESTIMULUS)
    assert before.X.shape[2] == 7
    scored = score_folds(
        before.X, before.y, before.onsets, before.runs, before.folds()["time"], method="ensemble", layout=before.layout
    )
    assert scored.summary()["auc"] == pytest.approx(0.5, abs=0.15)


def test_the_tables_give_every_figure_and_the_reason_of_every_gap(figures):
    text = tables(figures)
    row = figures["recordings"][0]
    assert (
        f"| synthetic | sub-01_task-rsvp | {row['methods']['lda']['blocks']['auc']:.3f} | ".replace("0.", ".") in text
    )
    for name in ("lda", "control_prestimulus"):
        assert f"sub-03_task-rsvp, `{name}`, time: not made." in text
    assert f"over `{figures['datasets']['synthetic']['blocks']['best']}`" in text
    for heading in ("Controls", "A new person", "Time"):
        assert f"### {heading}" in text
    assert "nan" not in text
    assert "****" not in text
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def test_figures_are_drawn_and_that_of_new_people_only_where_there_was_one(figures, tmp_path):
    assert [path.name for path in draw(figures, tmp_path / "both")] == ["auc.png", "transfer.png"]
    nobody = figures | {"transfer": {str(n): {"auc": None, "ece": None, "people": []} for n in OWN_TRIALS}}
    assert [path.name for path in draw(nobody, tmp_path / "one")] == ["auc.png"]
    assert "A new person" not in tables(nobody)
    assert (tmp_path / "both" / "transfer.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("flags", [1, 2])
def test_the_command_writes_json_and_prints_the_tables(flags, recordings, tmp_path, monkeypatch):
    seen = []

    def quick(read, **given):
        seen.append([one.name for one in read])
        return QUICK(read[:1], **given)

    monkeypatch.setattr(bench, "bench_decoder", quick)
    file = tmp_path / "sub-09_eeg.fif"
    copyfile(recordings / "sub-01_task-rsvp_run-01_eeg.fif", file)
    paths = ["--recordings", recordings, file] if flags == 1 else ["--recordings", recordings, "--recordings", file]
    words = ["bench", "decoder", *paths, "--first-seed", 3, "--json", tmp_path / "out.json"]
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    assert "### AUC, five blocks in time" in done.output
    figures = json.loads(Path(tmp_path / "out.json").read_text(encoding="utf-8"))
    assert figures["settings"]["first_seed"] == 3
    assert figures["recordings"][0]["methods"]["lda"]["blocks"]["auc"] > 0.6
    assert [sorted(names) for names in seen] == [["sub-01_task-rsvp", "sub-09"]]
