import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainloop.bench.scale_growth import CORES, GPUS, NETWORK, fit_growth, on_paper, pays_after
from brainloop.errors import SettingsError

SIZES = (100, 200, 400, 800)


@given(st.floats(1e-9, 1e3), st.floats(-1, 3))
def test_a_power_law_is_found_as_it_was(factor, exponent):
    fit = fit_growth(SIZES, [factor * n**exponent for n in SIZES])
    assert fit.exponent == pytest.approx(exponent, abs=1e-6)
    assert fit.factor == pytest.approx(factor, rel=1e-5)
    assert fit.at(10_000) == pytest.approx(factor * 10_000**exponent, rel=1e-4)


def test_the_exponent_is_the_slope_of_the_logarithms():
    seconds = np.array([1.0, 2.3, 3.9, 8.4])
    x, y = np.log(SIZES), np.log(seconds)
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    fit = fit_growth(SIZES, seconds)
    assert fit.exponent == pytest.approx(slope)
    assert fit.r2 == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)


def test_what_does_not_grow_is_explained_whole():
    fit = fit_growth(SIZES, [2.0] * 4)
    assert (fit.exponent, fit.r2) == (pytest.approx(0, abs=1e-12), pytest.approx(1))


@pytest.mark.parametrize(("sizes", "seconds"), [([1], [1]), ([1, 1], [1, 2]), ([1, 2], [0, 1]), ([1, 2], [1, 2, 3])])
def test_too_few_sizes_or_no_time_are_refused(sizes, seconds):
    with pytest.raises(SettingsError, match="measure again"):
        fit_growth(sizes, seconds)


def test_an_index_pays_after_as_many_queries_as_save_its_making():
    assert pays_after(10.0, 0.6, 0.1) == pytest.approx(20)
    assert pays_after(10.0, 0.1, 0.1) is None


def costs(score_s=1e-6):
    each = {"scan": 1e-4, "decode": 1e-3, "embed": 8e-3, "score_linear": score_s, "score_kernel": 5e-5}
    return {
        "stages": {name: {"core_s_each": seconds} for name, seconds in each.items()},
        "bytes": {"image": 20_000, "manifest": 60, "vector": 2560, "score": 4},
        "disk_bytes_per_s": 5e8,
    }


def test_ten_million_images_by_hand():
    paper = on_paper(costs(), 10_000_000)
    embed, scan, score = (paper["passes"][name] for name in ("embed", "scan", "score_linear"))
    assert embed["core_hours"] == pytest.approx(80_000 / 3600, rel=1e-3)
    assert embed["on"]["2"] == {"hours": pytest.approx(40_000 / 3600, rel=1e-3), "bottleneck": "processor"}
    assert embed["bytes_read"] == 0
    # Two cores hash in 500 s what the disk gives in 400 s; 64 in 16 s what the network gives in 160 s.
    assert scan["bytes_read"] == 200_000_000_000
    assert scan["on"]["2"] == {"hours": pytest.approx(500 / 3600, rel=1e-3), "bottleneck": "processor"}
    assert scan["on"]["64"] == {"hours": pytest.approx(160 / 3600, rel=1e-3), "bottleneck": "network"}
    # Two cores score in 5 s what the disk gives in 51 s.
    assert score["on"]["2"] == {"hours": pytest.approx(51.2 / 3600, rel=1e-3), "bottleneck": "disk"}
    assert paper["bytes"] == {
        "image": 200_000_000_000, "manifest": 600_000_000, "vector": 25_600_000_000, "score": 40_000_000
    }  # fmt: skip


def test_a_gpu_is_fed_by_as_many_cores_as_decode_what_it_embeds():
    gpu = on_paper(costs(), 1_000_000_000)["gpu"]
    assert gpu["MobileNetV2"]["gpu_hours"] == pytest.approx(1e9 / GPUS["MobileNetV2"] / 3600, rel=1e-3)
    assert gpu["MobileNetV2"]["cores"] == pytest.approx(GPUS["MobileNetV2"] * 1e-3, rel=1e-3)


@given(st.integers(1, 10**10), st.integers(2, 50))
def test_more_images_take_in_proportion_more(n, times):
    one, many = on_paper(costs(), n), on_paper(costs(), n * times)
    for name, found in one["passes"].items():
        for cores in map(str, CORES):
            assert many["passes"][name]["on"][cores]["hours"] == pytest.approx(
                times * found["on"][cores]["hours"], rel=2e-3
            )
            assert many["passes"][name]["on"][cores]["bottleneck"] == found["on"][cores]["bottleneck"]


def test_no_pass_is_faster_than_what_it_reads():
    paper = on_paper(costs(score_s=1e-12), 10**9)
    on = paper["passes"]["score_linear"]["on"]["64"]
    assert on["hours"] == pytest.approx(2560e9 / NETWORK / 3600, rel=1e-3)
