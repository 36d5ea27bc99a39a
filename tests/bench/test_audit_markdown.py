"""The tables of the audit's bench, from the figures that the pages hold."""

import json
from pathlib import Path

from brainloop.bench.audit_markdown import ROWS, tables

DOCS = Path(__file__).parents[2] / "docs"
FIGURES = DOCS / "figures" / "audit.json"


def test_the_tables_say_what_the_figures_do():
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    lines = tables(figures).splitlines()
    for name, words in ROWS.items():
        (row,) = [line for line in lines if line.startswith(f"| {words} |")]
        assert f"{figures[name]['precision_at_errors']:.3f}".removeprefix("0") in row
    assert sum(line.startswith(f"| {one['recording']}") for one in figures["by_recording"] for line in lines) == len(
        figures["by_recording"]
    )
    (mean,) = [line for line in lines if line.startswith("| mean, ")]
    assert f"{100 * figures['errors_left_share']:.1f} %" in mean


def test_the_page_holds_these_very_tables():
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    assert tables(figures) in (DOCS / "audit.md").read_text(encoding="utf-8")


def test_the_figures_that_the_pages_hold_meet_the_bars():
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    gain = figures["shortlist"]["precision_at_errors"] - figures["cleanlab"]["precision_at_errors"]
    assert gain >= 0.06
    assert figures["errors_left_share"] <= 0.60
    assert figures["right_changed_share"] <= 0.02
