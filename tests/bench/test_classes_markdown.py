"""What the bench of several classes says and draws, of a small run of it."""

import json
import re

import numpy as np
import pytest

from brainloop.bench.classes import bench_classes
from brainloop.bench.classes_figures import LOOK, draw
from brainloop.bench.classes_markdown import WAYS, tables
from brainloop.decoder.members import METHODS


@pytest.fixture(scope="module")
def figures(photographs, recordings, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(METHODS, "ensemble", ("lda",))
        found = bench_classes(
            photographs, [recordings], "builtin", seeds=[0, 1], looks=[50, 100], cache=tmp_path_factory.mktemp("cache"),
            workers=1,
        )  # fmt: skip
    return json.loads(json.dumps(found, allow_nan=False))


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_every_way_has_its_words_its_look_and_its_row(figures):
    assert {name for name, one in figures.items() if isinstance(one, dict) and "at" in one} == set(WAYS) - {"brainloop"}
    assert list(LOOK) == list(WAYS)
    told = {row[0]: row[1:] for row in rows(tables(figures).split("\n\n")[1])}
    for way, words in WAYS.items():
        one = figures if way == "brainloop" else figures[way]
        assert [float(cell) for cell in told[words][:2]] == pytest.approx(one["at"], abs=5.1e-4)
        gain = told[words][-1]
        if way == "brainloop":
            assert gain == ""
        else:
            assert float(gain.split()[0]) == pytest.approx(one["gain"][-1], abs=5.1e-4)
            assert re.fullmatch(r"[+-]\d?\.\d{3} ± \d?\.\d{3}", gain)


def test_the_confusion_is_told_in_shares_of_each_class(figures):
    told = rows(tables(figures).split("\n\n")[3])
    confusion = np.array(figures["confusion"])
    assert told[0] == ["of these", "said rose", "said sky", "AUC"]
    for row, counts in zip(told[1:], confusion, strict=True):
        assert row[1:3] == [f"{share:.0%}" for share in counts / counts.sum()]


def test_a_name_of_a_class_breaks_no_table(figures):
    text = tables({**figures, "classes": ["a|b", "c"]})
    assert r"said a\|b" in text


def test_one_seed_has_no_spread_and_no_error(figures):
    alone = {**figures, "sd": None, "seeds": [0]}
    alone |= {way: {**figures[way], "sd": None, "gain_se": [None, None]} for way in WAYS if way != "brainloop"}
    assert "1 seed from 0" in tables(alone)
    assert "±" not in tables(alone).split("\n\n")[1]


def test_the_figure_is_drawn_and_small(figures, tmp_path):
    assert 5_000 < draw(figures, tmp_path / "uses" / "classes.png").stat().st_size < 150_000
