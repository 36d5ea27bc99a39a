"""Scoring and query of millions of vectors, against the product of matrices that they come down to."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainloop._blas import one_thread
from brainloop._types import Progress, no_progress
from brainloop.classifier.features import Nystroem, Projection
from brainloop.classifier.head import Head
from brainloop.collection.collection import SHARD_ROWS, Collection, Manifest
from brainloop.collection.place import Place
from brainloop.collection.ranking import Ranking, rank
from brainloop.engine import LocalEngine, RayEngine

__all__ = ["bench_ray", "bench_rows"]

WIDTH, N_LANDMARKS, TOP = 1280, 1000, 1000

KERNEL_ROWS = 262_144
"""Rows of a turn of the kernel head, whose time goes with rows as the product's does: four shards."""

RAY_ROWS = 200_000

REFERENCE_CHUNKS = (256, 1024, 4096)
"""Rows of a chunk of the reference: it is given the fastest of these."""


def bench_rows(
    rows: int = 1_000_000,
    *,
    folder: Path | None = None,
    repeats: int = 5,
    ray: bool = True,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Measure scoring and query over vectors of half precision on disk.

    The reference is ``chunk.astype(float32) @ w`` over the same memory map, or ``@ landmarks.T``: from as many threads,
    a shard a thread, in the fastest of three sizes of chunk. Both take turns in one process, after a turn that is not
    counted. Where rows exceed half of the memory, the shards are dropped from the page cache before each turn of both,
    so that both read the disk.

    Parameters
    ----------
    rows : int
        Vectors of 1280 numbers, 2,560 bytes each.
    folder : Path, optional
        Where they are written, and removed from; a temporary folder by default.
    repeats : int
        Turns of each.
    ray : bool
        Whether Ray is measured too.
    progress : Progress
        Called with (steps done, steps).

    Returns
    -------
    dict
        Ready for JSON: `speed_ratio` and `kernel_speed_ratio`, the reference's median time over ours;
        `anonymous_memory_mib`, the peak of RssAnon of a process that ranks all rows, imports and all; `growth`, seconds
        a row over those at a tenth of the rows, rounded up to as many whole shards as keep every core at work;
        `ray_max_difference`, nats; `ray_overhead`, of the kernel head on 200,000 rows, from the first row scored to the
        last, over the local engine's time, less 1, and `ray_overhead_linear`; `seconds_per_row`, `spread` (lowest and
        highest ratio of neighbours in time).
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix="brainloop-rows-") as where:
        steps = 5 if ray else 4
        small, large = _make(Path(where) / "small", _tenth(rows)), _make(Path(where) / "large", rows)
        progress(1, steps)
        linear = _in_a_process("linear", large, repeats)
        progress(2, steps)
        growth = _in_a_process("growth", small, large, repeats)
        progress(3, steps)
        kernel = _in_a_process("kernel", large, repeats)
        progress(4, steps)
        figures: dict[str, Any] = {
            "rows": rows,
            "speed_ratio": linear["ratio"],
            "kernel_speed_ratio": kernel["ratio"],
            "anonymous_memory_mib": max(linear["anonymous_mib"], kernel["anonymous_mib"]),
            "growth": growth["growth"],
            "dropped_from_page_cache": linear["cold"],
            "seconds_per_row": {"linear": linear["ours"], "linear_reference": linear["reference"]}
            | {"kernel": kernel["ours"], "kernel_reference": kernel["reference"]}
            | {"tenth": growth["tenth"], "whole": growth["whole"]},
            "spread": {"linear": linear["spread"], "kernel": kernel["spread"]},
        }
        if ray:
            figures |= bench_ray(folder=Path(where), repeats=repeats)
            progress(5, steps)
    return figures


def bench_ray(*, folder: Path | None = None, repeats: int = 5, progress: Progress = no_progress) -> dict[str, Any]:
    """Measure Ray alone: `ray_max_difference`, `ray_overhead` and what else of Ray `bench_rows` gives."""
    progress(0, 1)
    with tempfile.TemporaryDirectory(dir=folder, prefix="brainloop-ray-") as where:
        figures = _in_a_process("ray", _make(Path(where) / "ray", RAY_ROWS), repeats)
    progress(1, 1)
    return figures


def _tenth(rows: int) -> int:
    """Give a tenth of the rows, in whole shards for every core: with a shard and a half on two, one waits."""
    every = SHARD_ROWS * len(os.sched_getaffinity(0))
    return min(rows, -(-rows // (10 * every)) * every)


def _make(folder: Path, rows: int) -> Path:
    """Write a collection of random vectors: one block, its rows rolled from shard to shard."""
    block = (
        np.random.default_rng(0).standard_normal((min(SHARD_ROWS, rows), WIDTH), dtype=np.float32).astype(np.float16)
    )
    counts = [min(SHARD_ROWS, rows - start) for start in range(0, rows, SHARD_ROWS)]
    (folder / "vectors").mkdir(parents=True)
    for number, n in enumerate(counts):
        with (folder / "vectors" / f"{number:05d}.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": (n, WIDTH)})
            for part in (block[number * 7 % len(block) :], block[: number * 7 % len(block)]):
                part[: max(0, n - (file.tell() - 128) // (2 * WIDTH))].tofile(file)
                file.flush()
            os.fsync(file.fileno())
    Manifest("", "", None, "", WIDTH, "float16", SHARD_ROWS, tuple(counts)).save(Place(str(folder)))
    return folder


def _classifier(kind: str) -> tuple[Projection | Nystroem, Head]:
    """Make a feature map and a head of the sizes that a study has."""
    rng = np.random.default_rng(1)
    if kind == "linear":
        return Projection(np.zeros(WIDTH), rng.normal(size=(WIDTH, 256)) / 36), Head(
            rng.normal(size=256), 0.1, None, 1, 0
        )
    landmarks = rng.standard_normal((N_LANDMARKS, WIDTH), dtype=np.float32)
    landmarks /= np.linalg.norm(landmarks, axis=1, keepdims=True)
    components = rng.normal(size=(N_LANDMARKS, 128)) / 30
    return Nystroem(landmarks, 0.5, components, np.zeros(128)), Head(rng.normal(size=128), 0.1, None, 1, 0)


def _rank(kind: str, collection: Collection) -> Ranking:
    return rank(collection, *_classifier(kind), n_unsure=TOP, n_surest=TOP)


def _reference(collection: Collection, weights: NDArray[np.float32], chunk: int) -> None:
    def product(number: int) -> None:
        shape = (collection.manifest.shards[number], WIDTH)
        vectors = np.memmap(f"{collection.url}/vectors/{number:05d}.npy", np.float16, "r", offset=128, shape=shape)
        for start in range(0, len(vectors), chunk):
            vectors[start : start + chunk].astype(np.float32) @ weights

    with one_thread(), ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        list(threads.map(product, range(len(collection.manifest.shards))))


def _measure_linear(url: str, repeats: int) -> dict[str, Any]:
    return _compare("linear", Collection.open(url), repeats)


def _measure_kernel(url: str, repeats: int) -> dict[str, Any]:
    collection = Collection.open(url)
    shards = collection.manifest.shards[: KERNEL_ROWS // SHARD_ROWS]
    return _compare("kernel", replace(collection, manifest=replace(collection.manifest, shards=shards)), repeats)


def _compare(kind: str, collection: Collection, repeats: int) -> dict[str, Any]:
    features, _ = _classifier(kind)
    rng = np.random.default_rng(2)
    weights = features.landmarks.T if isinstance(features, Nystroem) else rng.standard_normal(WIDTH, dtype=np.float32)
    # Peak first, before the reference has made anything of its own.
    _rank(kind, collection)
    anonymous = _peak_of(partial(_rank, kind, collection))
    sample = replace(collection, manifest=replace(collection.manifest, shards=collection.manifest.shards[:2]))
    trials = {chunk: _seconds(partial(_reference, sample, weights, chunk)) for chunk in REFERENCE_CHUNKS * 2}
    chunk = min(trials, key=lambda chunk: trials[chunk])
    cold = _is_large(collection)
    ours: list[float] = []
    reference: list[float] = []
    for _ in range(repeats):
        for times, act in (
            (ours, partial(_rank, kind, collection)),
            (reference, partial(_reference, collection, weights, chunk)),
        ):
            if cold:
                _drop(collection)
            times.append(_seconds(act))
    ratios = [theirs / mine for mine, theirs in zip(ours, reference, strict=True)]
    n = collection.n_images
    return {
        "ratio": statistics.median(ratios),
        "spread": [min(ratios), max(ratios)],
        "ours": statistics.median(ours) / n,
        "reference": statistics.median(reference) / n,
        "anonymous_mib": anonymous,
        "cold": cold,
    }


def _measure_growth(small: str, large: str, repeats: int) -> dict[str, Any]:
    few, many = Collection.open(small), Collection.open(large)
    cold = _is_large(many)
    times: dict[str, list[float]] = {"tenth": [], "whole": []}
    _rank("linear", few)
    for _ in range(repeats):
        for name, collection in (("tenth", few), ("whole", many)):
            if cold:
                _drop(collection)
            times[name].append(_seconds(partial(_rank, "linear", collection)) / collection.n_images)
    tenth, whole = (statistics.median(times[name]) for name in ("tenth", "whole"))
    return {"growth": whole / tenth, "tenth": tenth, "whole": whole}


def _measure_ray(url: str, repeats: int) -> dict[str, Any]:
    """Time both engines from the first piece that is begun to the last that is done, and compare what they find."""
    collection = Collection.open(url)
    figures: dict[str, Any] = {}
    overheads: dict[str, list[float]] = {"kernel": [], "linear": []}
    with RayEngine(workers=2) as ray:
        here = LocalEngine(2)
        features, head = _classifier("kernel")
        one, two = (rank(collection, features, head, engine, n_surest=collection.n_images) for engine in (here, ray))
        difference = one.surest_log_odds[np.argsort(one.surest)] - two.surest_log_odds[np.argsort(two.surest)]
        figures["ray_max_difference"] = float(np.abs(difference).max())
        for kind, found in overheads.items():
            for _ in range(repeats):
                seconds = [_once_started(engine, kind, collection) for engine in (here, ray)]
                found.append(seconds[1] / seconds[0] - 1)
    figures["ray_overhead"] = statistics.median(overheads["kernel"])
    figures["ray_overhead_linear"] = statistics.median(overheads["linear"])
    return figures


def _once_started(engine: LocalEngine | RayEngine, kind: str, collection: Collection) -> float:
    """Give the seconds from the first piece begun to the last result in hand."""
    make = partial(_Timed, *_classifier(kind))
    items = [
        (collection, number, start)
        for number, n in enumerate(collection.manifest.shards)
        for start in range(0, n, 8192)
    ]
    begun, done = [], 0.0
    for started in engine.map(make, items):
        begun.append(started)
        done = time.monotonic()
    return done - min(begun)


class _Timed:
    """Scores a part of a shard, and says when it began, s of the system's steady clock, which all processes share."""

    def __init__(self, features: Projection | Nystroem, head: Head) -> None:
        from brainloop.collection.scoring import Scorer

        self._score = Scorer(features, head)

    def __call__(self, item: tuple[Collection, int, int]) -> float:
        begun = time.monotonic()
        collection, number, start = item
        for block in collection.shard(number).blocks():
            self._score(block[start : start + 8192])
        return begun


def _seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _is_large(collection: Collection) -> bool:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return collection.n_images * WIDTH * 2 > memory / 2


def _drop(collection: Collection) -> None:
    """Drop the vectors from the page cache."""
    for number in range(len(collection.manifest.shards)):
        file = os.open(f"{collection.url}/vectors/{number:05d}.npy", os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def _peak_of(act: Callable[[], object]) -> float:
    """Peak of this process's anonymous memory while something runs, MiB, looked at every 2 ms."""
    peak = _anonymous()
    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(act)
        while not future.done():
            peak = max(peak, _anonymous())
            time.sleep(0.002)
        future.result()
    return peak


def _anonymous() -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024


_MEASURES: dict[str, Callable[..., dict[str, Any]]] = {
    "linear": _measure_linear,
    "kernel": _measure_kernel,
    "growth": _measure_growth,
    "ray": _measure_ray,
}


def _in_a_process(measure: str, *arguments: object) -> dict[str, Any]:
    """Measure in a fresh interpreter: memory and threads are then those of this measure alone."""
    command = [sys.executable, "-m", "brainloop.bench.scale_rows", measure, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"{measure} failed: {done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    name, *urls, turns = sys.argv[1:]
    sys.stdout.write(json.dumps(_MEASURES[name](*urls, int(turns))) + "\n")
