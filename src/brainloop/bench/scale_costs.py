"""What each stage costs an image or a look, on this machine, and how that grows."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import copyfile
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from brainloop._types import FloatArray, Progress, no_progress
from brainloop.bench.scale_growth import digits, fit_growth
from brainloop.images.backbones import Backbone, load_backbone
from brainloop.images.decode import decode
from brainloop.images.pool import Pool, scan

__all__ = ["STAGES", "bench_costs", "photographs_of", "write_photographs"]

STAGES = {
    "scan": "image", "decode": "image", "embed": "image", "score_linear": "image", "score_kernel": "image",
    "query": "image of the working pool", "train": "look", "store_sqlite": "look", "store_postgres": "look",
}  # fmt: skip
"""Every stage, and what its cost is told by."""

REPEATS = 3
"""Times that each size is measured; their median counts."""

LOOKS = (200, 400, 800, 1600, 3200)
POOLS = (2_500, 5_000, 10_000, 20_000, 40_000)
STORED = (50, 100, 200, 400, 800)
BLOCK = 50
"""Looks of a block."""

FEATURES = 128
"""Numbers an image that a head of `brainloop` is trained on."""

SHARD = 65_536
"""Rows of a shard of a collection."""

DISK_BYTES = 1 << 30
"""Read once from the disk, past the memory, for its speed."""


def bench_costs(
    folder: Path,
    images: Path | None = None,
    backbone: str | Path = "builtin",
    *,
    limit: int = 500,
    rows: int = 131_072,
    looks: Sequence[int] = LOOKS,
    pools: Sequence[int] = POOLS,
    stored: Sequence[int] = STORED,
    disk_bytes: int = DISK_BYTES,
    seed: int = 0,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Measure every stage at four sizes or more.

    What computes is measured in seconds of the processor on one thread, which other work on the machine disturbs
    little; what waits for a disk or a server, the store, in seconds of the clock.

    Parameters
    ----------
    folder : Path
        For photographs, vectors and stores, on the disk that is measured.
    images : Path, optional
        Photographs; generated ones by default.
    backbone : str or Path
        See `brainloop.images.backbones.load_backbone`.
    limit : int
        Photographs at the largest size; a scan, which is fast, has four times as many.
    rows : int
        Vectors at the largest size.
    looks, pools, stored : sequence of int
        Sizes of training, query and store.
    disk_bytes : int
        How much is read from the disk for its speed.
    seed : int
        Of all that is made up.
    progress : Progress
        Called with (stages measured, stages).

    Returns
    -------
    dict
        `stages` (of each: `per`, `sizes`, `seconds`, `core_s_each` at the largest size, `exponent` and `r2` of the
        fitted power law; `store_postgres` is None where PostgreSQL is not installed), `bytes` an image (`image`,
        `manifest`, `vector`, `score`), `disk_bytes_per_s`, and the setting.
    """
    rng = np.random.default_rng(seed)
    network = load_backbone(backbone)
    photographs = photographs_of(folder, images, 4 * limit, seed=seed)
    sizes = _sizes(len(photographs) // 4)
    works: dict[str, Callable[[], dict[str, Any] | None]] = {
        "scan": lambda: _scanning(folder, photographs, network, _sizes(len(photographs))),
        "decode": lambda: _decoding(photographs, network, sizes),
        "embed": lambda: _embedding(photographs, network, sizes),
        "score_linear": lambda: _scoring("linear", rows, network.width, folder, rng),
        "score_kernel": lambda: _scoring("kernel", rows // 8, network.width, folder, rng),
        "query": lambda: _querying(pools, rng),
        "train": lambda: _training(looks, rng),
        "store_sqlite": lambda: _storing(stored, lambda number: folder / f"costs-{number}.sqlite"),
        "store_postgres": lambda: _storing_on_postgres(stored, folder),
    }
    stages: dict[str, Any] = {}
    progress(0, len(works) + 1)
    for name, work in works.items():
        with threadpool_limits(1):
            found = work()
        stages[name] = None if found is None else {"per": STAGES[name], **found}
        progress(len(stages), len(works) + 1)
    speed = _disk_speed(folder, disk_bytes)
    progress(len(works) + 1, len(works) + 1)
    each = {
        "image": float(np.mean([photographs.path(image).stat().st_size for image in photographs.images])),
        "manifest": stages["scan"]["manifest_bytes"],
        "vector": 2.0 * network.width,
        "score": 4.0,
    }
    return {
        "stages": stages, "bytes": {name: digits(value) for name, value in each.items()},
        "disk_bytes_per_s": round(speed), "backbone": network.name, "width": network.width,
        "images": None if images is None else images.name, "photographs": len(photographs),
    }  # fmt: skip


def photographs_of(folder: Path, images: Path | None, limit: int, *, seed: int = 0) -> Pool:
    """Give some photographs of a folder, spread over it, or of generated ones in `folder`."""
    if images is None:
        return scan(write_photographs(folder / "photographs", limit, seed=seed))
    pool = scan(images)
    return Pool(pool.root, pool.images[:: max(1, len(pool) // limit)][:limit], ())


def write_photographs(folder: Path, n: int, *, seed: int = 0) -> Path:
    """Write `n` JPEG files of 224 x 298 pixels with a photograph's spectrum, which falls with the frequency.

    References
    ----------
    Field (1987), "Relations between the statistics of natural images and the response properties of cortical cells",
    J. Opt. Soc. Am. A 4.
    """
    from PIL import Image

    rng = np.random.default_rng(seed)
    height, width = 224, 298
    folder.mkdir(parents=True, exist_ok=True)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = np.inf
    for number in range(n):
        waves = np.fft.rfft2(rng.normal(size=(3, height, width))) / frequency
        pixels = np.fft.irfft2(waves, (height, width)).transpose(1, 2, 0)
        pixels = 128 + 50 * pixels / pixels.std()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:06d}.jpg", quality=90)
    return folder


def _sizes(most: int) -> list[int]:
    """Give four sizes, each twice the last."""
    return [most // 8, most // 4, most // 2, most]


def _measured(
    sizes: Sequence[int], prepare: Callable[[int], Callable[[], object]], *, clock: Callable[[], float] = process_time
) -> dict[str, Any]:
    """Measure what `prepare(n)` gives back, at each size, and fit how it grows."""
    seconds = []
    for n in sizes:
        took = []
        for _ in range(REPEATS):
            work = prepare(n)
            start = clock()
            work()
            took.append(clock() - start)
        seconds.append(max(median(took), 1e-9))
    fit = fit_growth(sizes, seconds)
    return {
        "sizes": list(sizes), "seconds": [digits(s) for s in seconds], "core_s_each": digits(seconds[-1] / sizes[-1]),
        "exponent": digits(fit.exponent), "r2": digits(fit.r2),
    }  # fmt: skip


def _scanning(folder: Path, pool: Pool, network: Backbone, sizes: Sequence[int]) -> dict[str, Any]:
    """Scan into a new collection each time; beside the seconds, the bytes that it then keeps of an image."""
    from brainloop.collection import scan_collection

    number = iter(range(REPEATS * len(sizes)))
    made = folder

    def prepare(n: int) -> Callable[[], object]:
        nonlocal made
        part, made = folder / f"scan-{n}", folder / f"collection-{next(number)}"
        if not part.exists():
            part.mkdir()
            for k, image in enumerate(pool.images[:n]):
                copyfile(pool.path(image), part / f"{k:06d}{Path(image.path).suffix}")
        return lambda: scan_collection(made, part, network)

    found = _measured(sizes, prepare)
    kept = sum(path.stat().st_size for path in (made / "pool").glob("*.parquet"))
    return {**found, "manifest_bytes": digits(kept / sizes[-1])}


def _decoding(pool: Pool, network: Backbone, sizes: Sequence[int]) -> dict[str, Any]:
    return _measured(sizes, lambda n: lambda: [network.prepare(decode(pool.path(one))) for one in pool.images[:n]])


def _embedding(pool: Pool, network: Backbone, sizes: Sequence[int]) -> dict[str, Any]:
    ready = [network.prepare(decode(pool.path(image))) for image in pool.images[: sizes[-1]]]
    batch = network.batch

    def work(n: int) -> Callable[[], object]:
        return lambda: [network.embed(np.stack(ready[start : start + batch])) for start in range(0, n, batch)]

    work(batch)()  # the first call allocates
    return _measured(sizes, work)


def _scoring(kind: str, rows: int, width: int, folder: Path, rng: np.random.Generator) -> dict[str, Any]:
    """Score vectors that are mapped from a file, and keep those that matter, as a ranking does, on one thread."""
    from brainloop.classifier.features import FEATURES as MAPS
    from brainloop.classifier.head import train_head
    from brainloop.collection.scoring import Scorer
    from brainloop.collection.top import Top

    pool = rng.normal(size=(2_000, width)).astype(np.float32) * np.arange(1, width + 1, dtype=np.float32) ** -0.5
    path = folder / f"vectors-{kind}.npy"
    vectors = np.lib.format.open_memmap(path, "w+", np.float16, (rows, width))
    for start in range(0, rows, len(pool)):
        vectors[start : start + len(pool)] = pool[: rows - start]
    vectors.flush()
    features = MAPS[kind].fit(pool)
    head = train_head(features(pool[:400]), rng.normal(size=400))

    def prepare(n: int) -> Callable[[], object]:
        score, mapped = Scorer(features, head), np.load(path, mmap_mode="r")[:n]

        def work() -> None:
            unsure, surest = Top.of(1_000), Top.of(1_000)
            for start in range(0, n, SHARD):
                z = score(mapped[start : start + SHARD])
                of = np.arange(start, start + len(z))
                unsure, surest = unsure.with_more(np.abs(z), of, z), surest.with_more(-z, of, z)

        return work

    return _measured(_sizes(rows), prepare)


def _querying(pools: Sequence[int], rng: np.random.Generator) -> dict[str, Any]:
    from brainloop.classifier.head import train_head
    from brainloop.classifier.query import Belief, variance_reduction

    features, evidence = _made_up(max(pools), rng)
    head = train_head(features[:800], evidence[:800])

    def prepare(n: int) -> Callable[[], object]:
        heard = np.where(np.arange(n) < 800, evidence[:n], 0.0)
        belief = Belief(features[:n], head, heard)
        return lambda: variance_reduction(belief, 50, np.random.default_rng(0))

    return _measured(pools, prepare)


def _training(looks: Sequence[int], rng: np.random.Generator) -> dict[str, Any]:
    from brainloop.classifier.head import train_head

    features, evidence = _made_up(max(looks), rng)
    return _measured(looks, lambda n: lambda: train_head(features[:n], evidence[:n]))


def _storing(sizes: Sequence[int], where: Callable[[int], Path | str]) -> dict[str, Any]:
    """Answer looks one by one, each committed before the next; on the clock, as it is the disk that takes the time."""
    from brainloop.presentation.block import Block, Response
    from brainloop.store import PoolImage, Store

    response = Response(0.5, 0.1, None, 0.0, "bench", "somebody", "one")
    last = iter(range(REPEATS * len(sizes)))

    def prepare(n: int) -> Callable[[], object]:
        store = Store(where(next(last)))
        store.create([PoolImage(k + 1, f"{k:032x}", f"{k}.jpg", None, "pool") for k in range(n)], [], {})
        store.enter("bench")
        ids = range(1, n + 1)
        shown = [tuple(ids[start : start + BLOCK]) for start in range(0, n, BLOCK)]
        store.plan([Block(1, 1 + k, images, 0.2, "target") for k, images in enumerate(shown)], "bench")

        def work() -> None:
            for number, images in enumerate(shown, start=1):
                for position in range(len(images)):
                    store.answer(number, position, response, "bench")
            store.close()

        return work

    return _measured(sizes, prepare, clock=perf_counter)


def _storing_on_postgres(sizes: Sequence[int], folder: Path) -> dict[str, Any] | None:
    """Do the same on PostgreSQL; None where it is not installed."""
    from brainloop.bench.postgres import private_postgres
    from brainloop.errors import BrainloopError

    def made(number: int) -> str:
        server.create(f"costs_{number}")
        return str(server.url(f"costs_{number}"))

    try:
        with private_postgres(folder / "postgres") as server:
            return _storing(sizes, made)
    except BrainloopError:
        return None


def _made_up(n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw features (n, 128) with a falling spectrum, and evidence of AUC .85 about a target of 12 %."""
    features = rng.normal(size=(n, FEATURES)) * np.arange(1, FEATURES + 1) ** -0.5
    features /= np.sqrt((features**2).sum(axis=1).mean())
    lean = features @ rng.normal(size=FEATURES)
    d = 1.4657  # the separation of two unit Gaussians with an AUC of .85
    evidence = d * (rng.normal(size=n) + d * (lean > np.quantile(lean, 0.88))) - d * d / 2
    return features, evidence


def _disk_speed(folder: Path, n_bytes: int) -> float:
    """Read a file from the disk, past the memory, `REPEATS` times; bytes a second, the median."""
    path, piece = folder / "disk.bin", np.random.default_rng(0).bytes(min(n_bytes, 1 << 24))
    with path.open("wb") as file:
        for _ in range(max(1, n_bytes // len(piece))):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    took = []
    for _ in range(REPEATS):
        with path.open("rb", buffering=0) as file:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            start = perf_counter()
            while file.read(1 << 23):
                pass
            took.append(perf_counter() - start)
    path.unlink()
    return size / median(took)
