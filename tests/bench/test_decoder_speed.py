"""The decoder's speed: what is timed is made and named; how long it takes is the bench's to report."""

from brainloop.bench.decoder_speed import speed


def test_every_timing_is_there_and_none_is_free():
    found = speed("lda", seed=3, fits=((300, 4), (280, 12)))
    assert list(found["fit_s"]) == ["300 x 4", "280 x 12"]
    assert all(seconds > 0 for seconds in found["fit_s"].values())
    assert found["epoch_ms"]["channels"] == 12
    assert 0 < found["epoch_ms"]["p50"] <= found["epoch_ms"]["p99"]
    networks = found["networks"]
    assert networks["ratio"] == networks["many"] / networks["one"] > 0
