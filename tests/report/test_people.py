import time
from datetime import datetime

import numpy as np
import pytest
from typer.testing import CliRunner

from brainloop import cli_people
from brainloop.loop import run
from brainloop.presentation.block import Response
from brainloop.report.html import render
from brainloop.report.people import PersonFindings, Stretch, clock_time, people_findings
from brainloop.report.people_figure import drift_figure, drift_words
from brainloop.study import Study

NOON = datetime(2026, 11, 23, 12).astimezone().timestamp()


class Person:
    """An observer with a name who tells the truth with noise, or says whatever comes to mind."""

    soa = 0.2
    facts = {"observer": "scripted"}  # noqa: RUF012

    def __init__(self, name, truth, *, awake=True):
        self.name, self._truth, self._awake = name, truth, awake

    def respond(self, block, start=0):
        rng = np.random.default_rng([len(self.name), block.number])
        truth = self._truth[list(block.images)]
        score = rng.normal(size=truth.size) + 1.5 * (truth if self._awake else rng.permutation(truth))
        for k in range(start, truth.size):
            rejected = "gap" if k == 0 else None
            evidence = 0.0 if rejected else 1.5 * score[k] - 1.125
            yield Response(score[k], evidence, rejected, block.onsets[k], f"{self.name}/1#{k}", self.name, "1")

    def recall(self, blocks):
        pass

    def erps(self):
        return {}


def looked_at(folder, photographs, *people):
    """Make a study that people looked at in turn, a round of 60 each, again and again."""
    study = Study.create(
        folder, images=photographs, target="rose", observer="own", looks_per_round=60, block_size=20, max_looks=480
    )
    truth = study.data().truth["rose"]
    for number in range(8):
        name, awake = people[number % len(people)]
        for _ in run(study, Person(name, truth, awake=awake)):
            break
    return study


@pytest.fixture(scope="module")
def two(tmp_path_factory, photographs):
    study = looked_at(tmp_path_factory.mktemp("two") / "study", photographs, ("ada", True), ("bob", False))
    yield study
    study.store.close()


@pytest.fixture(scope="module")
def alone(tmp_path_factory, photographs):
    study = looked_at(tmp_path_factory.mktemp("alone") / "study", photographs, ("ada", True))
    yield study
    study.store.close()


def findings(name, *weights, begin=NOON, auc=0.8):
    def after(seconds):
        return None if begin is None else begin + seconds

    stretches = tuple(
        Stretch(after(600 * k), after(600 * k + 500), 50, weight, auc) for k, weight in enumerate(weights)
    )
    n = 50 * len(weights)
    return PersonFindings(name, n, 3, auc, auc - 0.05, auc + 0.05, weights[-1], ("left",), begin, stretches)


def test_each_person_is_listed_with_what_they_came_to(two):
    ada, bob = people_findings(two)
    looks = two.store.looks()
    for one in (ada, bob):
        own = np.array([person == one.name for person in looks.person])
        assert one.looks == own.sum()
        assert one.rejected == sum(looks.rejected[k] is not None for k in np.flatnonzero(own))
        assert one.stations == ("local",)
        assert time.time() - one.seen < 3600
        assert sum(stretch.looks for stretch in one.stretches) == one.looks - one.rejected
        assert all(a.end <= b.begin for a, b in zip(one.stretches, one.stretches[1:], strict=False))
        assert one.auc_low <= one.auc <= one.auc_high
    assert ada.auc > bob.auc
    assert ada.weight > 0.5 > bob.weight
    assert ada.warning is None
    assert bob.warning.startswith("bob counts for .")


def test_only_looks_of_rounds_up_to_the_last_count(two):
    (ada,) = people_findings(two, 1)
    assert (ada.name, ada.looks) == ("ada", 60)


def test_of_a_single_person_there_are_looks_and_no_more(alone):
    (ada,) = people_findings(alone)
    assert ada.looks == len(alone.store.looks().person)
    assert (ada.auc, ada.weight, ada.stretches, ada.warning) == (None, 1.0, (), None)
    assert "People" not in render(alone)


def test_the_report_has_a_row_for_each_and_words_for_whoever_counts_for_little(two):
    page = render(two)
    section = page[page.index('id="people"') :]
    section = section[: section.index("</section>")]
    for name in ("ada", "bob"):
        assert f'<th scope="row">{name}</th>' in section
    assert "<b>bob counts for ." in section
    assert "<b>ada counts" not in section
    assert "<svg" in section


def test_the_command_lists_auc_and_weight(two):
    shown = CliRunner().invoke(cli_people.people, ["list", str(two.folder)], terminal_width=200)
    assert shown.exit_code == 0, shown.output
    head, _, row, warning = shown.output.splitlines()
    bob = people_findings(two)[1]
    assert head.split()[-2:] == ["AUC", "weight"]
    assert row.split()[0] == "bob"
    assert row.split()[-2:] == [f"{bob.auc:.2f}", f"{bob.weight:.2f}"]
    assert warning == f"{bob.warning}."


def test_the_command_leaves_auc_and_weight_open_for_a_single_person(alone):
    shown = CliRunner().invoke(cli_people.people, ["list", str(alone.folder)], terminal_width=200)
    assert shown.output.splitlines()[1].split()[-2:] == ["-", "-"]


def test_who_counts_for_little_is_told_from_when_on():
    dozing = findings("bob", 1.0, 0.4, 0.9, 0.3, 0.2)
    assert dozing.warning == f"bob counts for .20 of what calibration promised since {clock_time(NOON + 1800)}"
    assert findings("bob", 0.1, begin=None).warning == "bob counts for .10 of what calibration promised"
    assert findings("ada", 0.2, 0.9).warning is None
    assert findings("eve", 0.0, begin=None).warning == "eve counts for .00 of what calibration promised"


def test_a_time_of_another_day_has_its_day():
    assert clock_time(NOON) in ("12:00", "2026-11-23 12:00")
    assert clock_time(NOON - 400 * 86400).startswith("2025-")


def test_drift_is_drawn_as_one_line_a_person_over_the_time_of_day():
    people = [findings("ada", 1.0, 1.1, 0.9), findings("bob", 0.9, 0.3), findings("old", 1.0, begin=None)]
    figure = drift_figure(people)
    auc, weight = figure.axes
    lines = {line.get_label(): line for line in weight.lines if not line.get_label().startswith("_")}
    assert sorted(lines) == ["ada", "bob", "old"]
    np.testing.assert_allclose(lines["bob"].get_ydata(), [0.9, 0.3])
    assert len(lines["old"].get_xdata()) == 0
    assert (np.diff(lines["ada"].get_xdata()) == np.timedelta64(600, "s")).all()
    assert auc.get_ylim() == (0.3, 1.0)
    assert "bob 0.80 / 0.90, 0.80 / 0.30" in drift_words(people)
