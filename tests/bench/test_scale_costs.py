import json

import numpy as np
import pytest

from brainloop.bench.scale_costs import STAGES, bench_costs, photographs_of, write_photographs
from brainloop.bench.scale_growth import SIZES, on_paper
from brainloop.images.decode import decode


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    done = []
    found = bench_costs(
        tmp_path_factory.mktemp("costs"), limit=8, rows=4_096, looks=(50, 100, 200, 400),
        pools=(300, 600, 1_200, 2_400), stored=(2, 4, 8, 16), disk_bytes=1 << 20, progress=lambda *at: done.append(at),
    )  # fmt: skip
    assert done[0] == (0, len(STAGES) + 1)
    assert done[-1] == (len(STAGES) + 1, len(STAGES) + 1)
    return json.loads(json.dumps(found, allow_nan=False))


def test_every_stage_has_a_cost_and_a_growth_over_four_sizes(costs):
    assert set(costs["stages"]) == set(STAGES)
    for name, one in costs["stages"].items():
        if one is not None:  # PostgreSQL may not be installed
            assert len(one["sizes"]) == len(one["seconds"]) == 4, name
            assert one["core_s_each"] == pytest.approx(one["seconds"][-1] / one["sizes"][-1], rel=2e-3)
            assert one["per"] == STAGES[name]
            assert one["r2"] <= 1


def test_bytes_an_image_are_those_on_disk(costs):
    each = costs["bytes"]
    assert each["vector"] == 2 * costs["width"]
    assert each["manifest"] > 0
    assert 5_000 < each["image"] < 100_000
    assert costs["disk_bytes_per_s"] > 0


def test_what_was_measured_goes_on_paper(costs):
    for n in SIZES:
        paper = on_paper(costs, n)
        assert paper["images"] == n
        assert all(one["core_hours"] > 0 for one in paper["passes"].values())


def test_generated_photographs_are_all_different_and_decode(tmp_path):
    write_photographs(tmp_path, 3)
    decoded = [decode(path) for path in sorted(tmp_path.glob("*.jpg"))]
    assert [one.shape for one in decoded] == [(224, 298, 3)] * 3
    assert not np.array_equal(decoded[0], decoded[1])


def test_photographs_are_spread_over_a_folder(photographs, tmp_path):
    chosen = photographs_of(tmp_path, photographs, 10)
    assert len(chosen) == 10
    assert {image.label for image in chosen.images} == {"rose", "sky"}
