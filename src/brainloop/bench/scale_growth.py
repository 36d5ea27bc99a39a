"""From what was measured to what it would take: growth fitted over sizes, and millions of images on paper.

Nothing is measured here. What comes out is arithmetic on measured costs and on the assumptions below, each a constant
with its source.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brainloop.errors import SettingsError

__all__ = ["CORES", "GPU", "GPUS", "NETWORK", "SIZES", "Growth", "digits", "fit_growth", "on_paper", "pays_after"]

SIZES = (10_000_000, 1_000_000_000)
"""Images that the page computes for."""

CORES = (2, 64)
"""Of the machine that this was measured on, and of a server."""

NETWORK = 1.25e9
"""Bytes a second of 10 Gbit/s, what a server in a rack has today; an object store is read at that rate at best."""

GPU = "RTX 4090"
GPUS = {"MobileNetV2": 10_810.08, "ResNet-50": 4_217.6, "ViT-B/16": 2_787.15}
"""Images of 224 x 224 a second that one such GPU embeds, at mixed precision in batches of 1024. Not measured here: from
https://github.com/huggingface/pytorch-image-models, `results/benchmark-infer-amp-nchw-pt240-cu124-rtx4090.csv` (rows
`mobilenetv2_100`, `resnet50`, `vit_base_patch16_224`)."""

READ = {
    "scan": ("image",), "decode": ("image",), "embed": (), "score_linear": ("vector",), "score_kernel": ("vector",),
}  # fmt: skip
"""What each pass over a collection reads of each image: its file, its vector, or, as its pixels are there, nothing."""


@dataclass(frozen=True)
class Growth:
    """A power law ``seconds = factor * n ** exponent``.

    Parameters
    ----------
    factor : float
        Seconds of the first.
    exponent : float
        1 where twice as many take twice as long.
    r2 : float
        Share of the variance of the logarithms that it explains.
    """

    factor: float
    exponent: float
    r2: float

    def at(self, n: float) -> float:
        """Give the seconds of `n`."""
        return float(self.factor * n**self.exponent)


def fit_growth(sizes: Sequence[float], seconds: Sequence[float]) -> Growth:
    """Fit a power law by least squares on the logarithms.

    Parameters
    ----------
    sizes, seconds : sequence of float
        What was measured; two different sizes or more, all above 0.

    Raises
    ------
    SettingsError
        If there are fewer, or one is not above 0.
    """
    n, s = np.asarray(sizes, dtype=float), np.asarray(seconds, dtype=float)
    if n.shape != s.shape or np.unique(n).size < 2 or not (n > 0).all() or not (s > 0).all():
        raise SettingsError(
            f"expected seconds above 0 for two sizes or more; {s.tolist()} for {n.tolist()} came: measure again"
        )
    x, y = np.log(n), np.log(s)
    exponent, start = np.polyfit(x, y, 1)
    left, all_of_it = ((y - start - exponent * x) ** 2).sum(), ((y - y.mean()) ** 2).sum()
    return Growth(float(np.exp(start)), float(exponent), float(1 - left / all_of_it) if all_of_it else 1.0)


def digits(value: float) -> float:
    """Keep four digits: of a cost, more would be noise."""
    return float(f"{value:.4g}")


def pays_after(build_s: float, scan_s: float, query_s: float) -> float | None:
    """Give after how many queries an index has paid for its making: ``build / (scan - query)``.

    None where a query of the index takes as long as the scan that it is to save.
    """
    return build_s / (scan_s - query_s) if scan_s > query_s else None


def on_paper(costs: Mapping[str, Any], n: int) -> dict[str, Any]:
    """Compute what a collection takes.

    Every pass is taken to grow in proportion, as it does the same to each image, and to spread over cores without
    loss; what a pass reads comes from the disk measured here (two cores) or over `NETWORK` (a server), beside the
    work of the processor. It takes as long as the slower of the two, its bottleneck.

    Parameters
    ----------
    costs : mapping
        As `brainloop.bench.scale_costs.bench_costs` gives them.
    n : int
        Images.

    Returns
    -------
    dict
        `passes` (by name: `core_hours`, `bytes_read`, and for each number of cores of `CORES` its `hours` and its
        `bottleneck`), `gpu` (by network: `gpu_hours`, and the `cores` that decode as fast as one GPU embeds), `bytes`
        (on disk, by kind).
    """
    passes, each = {}, costs["bytes"]
    for name, reads in READ.items():
        core_s = n * costs["stages"][name]["core_s_each"]
        read = n * sum(each[what] for what in reads)
        on = {}
        for cores in CORES:
            where, speed = ("disk", costs["disk_bytes_per_s"]) if cores == CORES[0] else ("network", NETWORK)
            took = {"processor": core_s / cores, where: read / speed}
            slowest = max(took, key=lambda what: took[what])
            on[str(cores)] = {"hours": digits(took[slowest] / 3600), "bottleneck": slowest}
        passes[name] = {"core_hours": digits(core_s / 3600), "bytes_read": round(read), "on": on}
    gpu = {
        name: {
            "gpu_hours": digits(n / speed / 3600),
            "cores": digits(speed * costs["stages"]["decode"]["core_s_each"]),
        }
        for name, speed in GPUS.items()
    }
    kept = {name: round(n * each[name]) for name in ("image", "manifest", "vector", "score")}
    return {"images": n, "passes": passes, "gpu": gpu, "bytes": kept}
