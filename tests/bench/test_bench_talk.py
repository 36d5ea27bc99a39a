"""The talk's experiments, small: real recordings, made-up embeddings, every experiment run."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as Picture

from brainloop.bench.arena import Arena, Cell, Photographs, split
from brainloop.bench.confidence import agreement, rank_correlation
from brainloop.bench.experiments import EXPERIMENTS, ablations
from brainloop.bench.preparation import prepare
from brainloop.bench.talk import bench_talk, chosen, rehearsal_settings, write_talk
from brainloop.bench.talk_markdown import verdict
from brainloop.bench.zero_label import target_names
from brainloop.classifier.system import SYSTEMS
from brainloop.eeg.recordings import read_recordings
from brainloop.errors import SettingsError
from brainloop.observers.answers import decode
from brainloop.store import PoolImage
from brainloop.study import Study


@pytest.fixture(scope="module")
def arena(recordings):
    """Two tasks of 160 images, width 6, of which one has a class of the backbone's own, and one person."""
    rng = np.random.default_rng(0)
    tasks = {}
    for name, strength in (("easy", 2.0), ("hard", 1.0)):
        truth = np.arange(160) % 5 == 0
        vectors = rng.normal(size=(160, 6)) + strength * truth[:, None] * np.eye(6)[0]
        own = rng.random(160) + truth if name == "easy" else None
        tasks[name] = Photographs(vectors.astype(np.float32), truth, own, "class 1" if name == "easy" else "none")
    person = decode(read_recordings([recordings]), decoder="lda")
    settings = replace(rehearsal_settings([recordings], "builtin", prevalence=0.15), looks_per_round=15)
    return Arena(tasks, {"a/sub-01": person}, settings, (15, 30))


@pytest.fixture(scope="module")
def two_people(arena):
    """The same with a second person: the first with a worse decoder."""
    person = arena.people["a/sub-01"]
    return replace(arena, people={"a/sub-01": person, "b/sub-01": person.degraded(1.0, seed=0)})


@pytest.fixture(scope="module")
def figures(arena):
    return bench_talk(arena, [1, 2], workers=1)


def without_times(tree):
    if isinstance(tree, dict):
        return {
            key: without_times(value)
            for key, value in tree.items()
            if not any(word in key for word in ("seconds", "machine", "minutes"))
        }
    return [without_times(entry) for entry in tree] if isinstance(tree, list) else tree


def test_the_json_holds_what_the_issue_names_and_nothing_that_json_does_not_know(figures):
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert figures["checkpoints"] == [15, 30]
    assert set(figures["systems"]) == set(SYSTEMS)
    for one in (figures, *figures["by"]):
        for system in one["systems"].values():
            assert set(system) == {"auc", "sd", "gain", "gain_se", "viewing_s", "machine_s"}
            assert all(len(values) == 2 for values in system.values())
    assert [(row["task"], row["recording"]) for row in figures["by"]] == [("easy", "a/sub-01"), ("hard", "a/sub-01")]
    assert list(figures["experiments"]) == list(EXPERIMENTS)
    assert all(one["seconds"] >= 0 and len(one["by"]) == 2 for one in figures["experiments"].values())
    assert figures["settings"]["seeds"] == [1, 2]


def test_the_top_level_is_the_mean_of_the_cells(figures):
    for name, system in figures["systems"].items():
        for what in ("auc", "sd", "gain", "viewing_s"):
            cells = np.mean([row["systems"][name][what] for row in figures["by"]], axis=0)
            np.testing.assert_allclose(system[what], cells, atol=2e-5)


def test_gains_are_paired_so_that_of_talk_over_itself_is_exactly_zero(figures):
    talk = figures["systems"]["talk"]
    assert talk["gain"] == talk["gain_se"] == [0, 0]
    for system in figures["systems"].values():
        np.testing.assert_allclose(system["gain"], np.subtract(system["auc"], talk["auc"]), atol=2e-5)


def test_ablations_differ_from_their_system_in_one_factor(figures):
    series = figures["experiments"]["checkpoints"]["series"]
    assert set(series) == set(SYSTEMS) | set(ablations()) | {"talk, Youden's threshold"}
    for name, system in ablations().items():
        start, _, factor = name.partition(" ")
        factor = "regularisation" if factor == "cross-validated" else factor[2:]
        start = SYSTEMS[start.rstrip(",")]
        assert getattr(system, factor) != getattr(start, factor)
        assert replace(system, **{factor: getattr(start, factor)}) == start


def test_difficulty_zero_and_no_noise_and_no_fillers_are_the_systems_themselves(figures):
    for name, system in figures["systems"].items():
        experiments = figures["experiments"]
        assert experiments["difficulty"]["series"][name]["auc"][0] == system["auc"]
        assert experiments["compose"]["series"][f"{name}, off"]["auc"] == system["auc"]
        if name != "truth":
            assert experiments["compensation"]["series"][name]["auc"][0] == system["auc"]


def test_a_task_without_a_class_of_its_own_has_no_row_and_the_other_has(figures):
    zero = figures["experiments"]["zero_label"]
    assert zero["tasks"] == ["easy"]
    assert zero["own"]["auc"] > 0.8
    assert zero["by"][1]["own"] is None
    assert "none" in zero["by"][1]["classes"]["hard"]


def test_at_difficulty_zero_the_weight_knows_no_more_of_an_image_than_its_control(figures):
    for one in figures["experiments"]["confidence"]["series"].values():
        assert abs(one["difference"]["rho"][0]) < 0.15
        assert one["control"]["rho"][0] > 0
    targets = figures["experiments"]["confidence"]["series"]["targets"]["difference"]
    assert targets["rho"][2] > targets["rho"][0]


def test_the_result_does_not_depend_on_the_number_of_processes(two_people):
    one, two = (bench_talk(two_people, [1], only=["2", "confidence"], workers=workers) for workers in (1, 2))
    assert list(one["experiments"]) == ["soft_labels", "confidence"]
    assert without_times(one) == without_times(two)
    rows = {row["recording"]: row for row in one["by"] if row["task"] == "easy"}
    assert list(rows) == ["a/sub-01", "b/sub-01"]
    assert rows["a/sub-01"]["observer_auc"] > rows["b/sub-01"]["observer_auc"]
    # Who is told the truth does not care who looks.
    assert rows["a/sub-01"]["systems"]["truth"]["auc"] == rows["b/sub-01"]["systems"]["truth"]["auc"]


def test_what_is_written_names_every_figure_that_it_shows(figures, tmp_path):
    paths = write_talk(figures, tmp_path / "out", command="brainloop bench talk")
    assert {path.name for path in paths} == {path.name for path in (tmp_path / "out").iterdir()}
    text = (tmp_path / "out" / "talk.md").read_text(encoding="utf-8")
    shown = [path for path in paths if path.suffix == ".png"]
    assert len(shown) == 11
    for path in shown:
        assert f"]({path.name})" in text
        with Picture.open(path) as picture:
            assert picture.width > 600
    assert "nan" not in text
    assert json.loads((tmp_path / "out" / "talk.json").read_text(encoding="utf-8"))["command"] == "brainloop bench talk"


def test_rehearsals_train_at_full_rounds_and_before_each_checkpoint(arena):
    talks = replace(arena, settings=replace(arena.settings, looks_per_round=150), checkpoints=(200, 400, 589))
    assert talks.round_ends.tolist() == [150, 200, 350, 400, 550, 589]
    assert talks.stops.tolist() == [1, 3, 5]


def test_the_split_is_the_one_that_a_study_makes(photographs, tmp_path):
    study = Study.create(tmp_path / "study", images=str(photographs), target="rose", prevalence=0.1, seed=3)
    images: list[PoolImage] = study.store.images()
    pool, test = split(np.array([image.label == "rose" for image in images]), study.settings)
    assert [images[k].part for k in pool] == ["pool"] * len(pool)
    assert [k for k, image in enumerate(images) if image.part == "test"] == test.tolist()


def test_a_share_of_the_truth_trains_a_better_head_than_the_same_share_of_glances(arena):
    cell = Cell(arena, "easy", "a/sub-01", 0)
    images = np.arange(100)
    assert cell.auc_after(SYSTEMS["truth"], images) > cell.auc_after(SYSTEMS["hard"], images)


def test_prepare_names_one_observer_a_person_and_one_task_a_class(shared, photographs, tmp_path):
    speller = shared / "data" / "eeg" / "gtec-speller"
    paths = [speller, next(speller.rglob("*sub-01*.fif"))]
    settings = replace(rehearsal_settings(paths, "builtin"), decoder="lda")
    arena = prepare([f"{photographs}:rose"], paths, settings, [30], tmp_path)
    assert list(arena.tasks) == ["rose"]
    assert [name.partition(" (")[0] for name in arena.people] == [f"gtec-speller/sub-0{k}" for k in (1, 2, 3, 1)]
    assert len(arena.people) == 4
    rose = arena.tasks["rose"]
    assert (len(rose.vectors), rose.truth.sum()) == (160, 32)
    assert rose.own is None
    assert "logits" in rose.about_own


def test_two_sessions_of_a_person_are_one_observer_and_classes_are_named_with_their_folder_if_shared(
    shared, photographs, tmp_path
):
    twin = tmp_path / "twin"
    twin.symlink_to(photographs, target_is_directory=True)
    paths = [shared / "data" / "eeg" / "muse-oddball"]
    settings = replace(rehearsal_settings(paths, "builtin"), decoder="lda")
    arena = prepare([f"{photographs}:rose", f"{twin}:rose"], paths, settings, [30], tmp_path)
    assert list(arena.tasks) == [f"{photographs.name}/rose", "twin/rose"]
    assert [len(answers.recordings) for answers in arena.people.values()] == [2]


@pytest.mark.parametrize("task", ["photos", ":rose", "photos:"])
def test_a_task_without_folder_or_class_is_refused(task, tmp_path):
    with pytest.raises(SettingsError, match="DIR:CLASS"):
        prepare([task], [], rehearsal_settings([tmp_path], "builtin"), [30], tmp_path)


def test_experiments_are_chosen_by_number_and_by_name_in_their_order():
    assert chosen(["time", "1"]) == ["checkpoints", "time"]
    assert chosen([]) == list(EXPERIMENTS)
    with pytest.raises(SettingsError, match="10 compose; '11' came"):
        chosen(["11"])


def test_agreement_counts_usable_later_looks_with_the_first_label():
    called = np.array([[1, 1, 0, 1], [0, 0, 0, 1], [1, 1, 1, 1]])
    usable = np.array([[1, 1, 1, 1], [1, 1, 0, 1], [0, 1, 1, 1]], dtype=bool)
    np.testing.assert_allclose(agreement(called, usable), [2 / 3, 1 / 2, np.nan])


def test_rank_correlation_is_spearmans():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, (2, 3, 40))
    np.testing.assert_allclose(rank_correlation(a, b), [spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)])
    assert rank_correlation(np.ones((1, 5)), a[:1, :5]) == [0]


def test_a_gain_within_two_standard_errors_is_no_difference_found():
    assert verdict(0.02, 0.011) == "no difference found (+.020 ± .011)"
    assert verdict(0.02, 0.009) == "a gain of .020 ± .009"
    assert verdict(-0.02, 0.009) == "a loss of .020 ± .009"
    assert verdict(0.02, None).startswith("no difference found")


def test_the_names_of_a_class_ignore_case_number_and_what_stands_between_words():
    assert target_names("Sports car, sport car") & target_names("sports_car")
    assert not target_names("sunflowers") & target_names("daisy")
