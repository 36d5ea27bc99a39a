import json
from pathlib import Path

import numpy as np
from PIL import Image

from brainloop.bench.embed import bench_embed


def test_the_speed_of_embedding_is_reported_with_its_setting(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(12):
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    calls: list[tuple[int, int]] = []
    report = bench_embed(tmp_path, "builtin", limit=10, repeats=2, batch=4, progress=lambda *call: calls.append(call))
    assert calls == [(0, 2), (1, 2), (2, 2)]
    assert report["images"] == 10
    assert report["batch"] == 4
    assert report["largest_difference"] == 0
    for name in ("end_to_end_images_per_s", "inference_images_per_s", "ratio", "ratio_prepared"):
        assert len(report[name]["turns"]) == 2
        assert 0 < report[name]["lowest"] <= report[name]["median"] <= report[name]["highest"]
    json.dumps(report)
