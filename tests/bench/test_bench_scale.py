import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from brainloop.bench import scale, scale_costs, scale_index
from brainloop.bench.scale import PARTS, bench_scale, needed_bytes
from brainloop.bench.scale_figures import draw
from brainloop.bench.scale_markdown import bytes_of, count, hours_of, seconds_of, tables
from brainloop.cli import app
from brainloop.errors import SettingsError

DOCS = Path(__file__).parents[2] / "docs"

BARS = {
    "rows": 1_000_000, "speed_ratio": 1.234, "kernel_speed_ratio": 0.876, "anonymous_memory_mib": 321.4, "growth": 1.02,
    "ray_max_difference": 0.0, "ray_overhead": 0.1234,
    "stations": {"looks_lost": 0, "double_leases": 0, "auc_difference": -0.0012},
    "people": {"four": 0.911, "predicted": 0.912, "one_random": 0.873, "three": 0.875},
}  # fmt: skip


@pytest.fixture
def small(monkeypatch):
    """Sizes that a test has the time for."""
    measure = scale_costs.bench_costs
    sizes = {
        "limit": 8, "rows": 4_096, "looks": (50, 100), "pools": (300, 600), "stored": (2, 4), "disk_bytes": 1 << 20,
    }  # fmt: skip
    monkeypatch.setattr(scale_costs, "bench_costs", lambda *given, **named: measure(*given, **named, **sizes))
    index = scale_index.bench_index
    monkeypatch.setattr(scale_index, "bench_index", lambda **named: index((200, 400), width=64, **named))
    monkeypatch.setattr(scale_index, "N_QUERIES", 2)
    monkeypatch.setattr(scale_costs, "REPEATS", 1)


def test_costs_and_index_become_figures_tables_and_a_picture(small, tmp_path):
    figures = bench_scale(tmp_path, rows=1_000, only=["costs", "index"])
    figures = json.loads(json.dumps(figures, allow_nan=False))
    assert set(figures) == {"rows", "costs", "paper", "index", "machine"}
    text = tables(figures)
    for words in ("measured: stage", "10 million", "1 billion", "RTX 4090", "usearch", "scan, exact"):
        assert words in text
    assert "nan" not in text
    assert draw(figures, tmp_path / "scale.png").stat().st_size > 10_000


def test_the_command_keeps_figures_and_prints_tables(small, tmp_path):
    path = tmp_path / "scale.json"
    done = CliRunner().invoke(app, ["bench", "scale", "--only", "costs", "--rows", "1000", "--json", str(path)])
    assert done.exit_code == 0, done.output
    assert "measured: stage" in done.output
    assert json.loads(path.read_text())["command"].startswith("brainloop")


def test_the_bars_of_the_issue_are_told_with_what_was_measured():
    lines = tables(BARS).splitlines()
    assert "| peak anonymous memory | 321 MiB | at most 512 MiB |" in lines
    assert "| double leases | 0 | 0 |" in lines
    assert any("| 1.23 | at least .8 |" in line for line in lines)
    assert any("| +12% | at most 25 % |" in line for line in lines)
    assert any("| 0.911 | 0.912 ± .02 |" in line for line in lines)


def test_of_what_was_not_measured_there_is_no_row():
    assert tables({"rows": 10}) == ""
    assert "Ray" not in tables({name: BARS[name] for name in ("rows", "stations")})


def test_an_unknown_part_is_refused_by_name(tmp_path):
    with pytest.raises(SettingsError, match=r"rows, ray.*colums"):
        bench_scale(tmp_path, only=["colums"])


def test_too_small_a_disk_is_told_before_anything_is_written(tmp_path):
    with pytest.raises(SettingsError, match=r"expected \S+ GB free at .* for 1,000,000,000,000 rows.*TMPDIR"):
        bench_scale(tmp_path, rows=10**12, only=["rows"])
    assert not list(tmp_path.iterdir())


def test_ten_million_rows_need_their_vectors_and_a_tenth():
    assert needed_bytes(["rows"], 10_000_000) == pytest.approx(25.6e9 * 1.1)
    assert needed_bytes(["people"], 10_000_000) == 0


def test_every_part_has_its_measure():
    assert set(scale._MEASURE) == set(PARTS)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (seconds_of(3.2e-7), "320 ns"), (seconds_of(0.00123), "1.2 ms"), (seconds_of(59.0), "59 s"),
        (seconds_of(90.0), "1.5 min"), (hours_of(0.001), "3.6 s"), (hours_of(47.0), "47 h"),
        (hours_of(72.0), "3.0 days"), (hours_of(24 * 365 * 2.5), "2.5 years"),
        (bytes_of(2560), "2.6 kB"), (bytes_of(2.56e12), "2.6 TB"),
        (bytes_of(12.0), "12 B"), (count(10_000_000), "10 million"), (count(10**9), "1 billion"), (count(400), "400"),
    ],
)  # fmt: skip
def test_quantities_are_said_in_the_unit_that_suits_them(said, words):
    assert said == words


def test_the_page_holds_the_tables_of_its_figures():
    figures = json.loads((DOCS / "figures" / "scale.json").read_text(encoding="utf-8"))
    assert tables(figures) in (DOCS / "scale.md").read_text(encoding="utf-8")
