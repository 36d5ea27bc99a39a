"""When an index pays: an exact scan against FAISS and USearch, for the questions that a study asks of a collection.

Three questions are asked of n vectors. *Target*: the k largest ``w.x`` of a linear head, an inner product that an index
answers; the head is another after every round, yet it is only the query, and the index stays. *Unsure*: the k least
``|w.x + b|``, the images near the head's hyperplane. No index of inner products or distances answers that: what is
nearest to ``w`` or to ``-w`` lies farthest from the hyperplane. *Alike*: the k nearest in angle to a given image.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from brainloop._blas import one_thread
from brainloop._types import FloatArray, IntArray, Progress, no_progress
from brainloop.bench.scale_growth import SIZES, Growth, digits, fit_growth, pays_after
from brainloop.classifier.features import Projection
from brainloop.classifier.head import train_head
from brainloop.errors import MissingExtraError
from brainloop.images.embeddings import default_workers

__all__ = ["INDEXES", "bench_index", "enlarged", "exact", "heads_of", "recall"]

K = 100
"""Images that each query asks for: more than a round shows, few enough for an index to be at its best."""

N_QUERIES = 20
"""Heads, or images, that each index is asked about."""

GOOD = 0.95
"""Recall from which on an index may stand in for the scan."""

CHUNK = 4_096
"""Rows that an index is given at a time: 21 MB at 1280 numbers."""

FURTHEST = 200
"""Times the largest size that the making of an index is computed for; beyond, it would be a guess."""

EFFORTS = (16, 64, 256, 1024)
"""What an index is asked to spend on a query, each in its own unit (below): the least that is good enough counts."""

FEATURES = 128
"""Numbers an image that a study's own feature map leaves; kept, they are scanned in place of the vectors."""

Search = Callable[[int, FloatArray], IntArray]
"""From an effort and one query, shape (width,), to the rows found, shape (K,)."""


@dataclass(frozen=True)
class Built:
    """An index: its search, the bytes of memory it holds, and the seconds it took to make."""

    search: Search
    n_bytes: int
    build_s: float


def bench_index(
    sizes: Sequence[int] = (4_000, 8_000, 16_000, 32_000, 64_000),
    base: FloatArray | None = None,
    *,
    width: int = 1280,
    seed: int = 1000,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Compare indexes with the scan at several numbers of rows.

    Parameters
    ----------
    sizes : sequence of int
        Rows, rising; each is a part of the largest.
    base : array, shape (n_base, width), optional
        Embeddings of real photographs, which `enlarged` makes more of; else a mixture of Gaussians.
    width : int
        Numbers a row, without `base`.
    seed : int
        Of rows, heads and queries.
    progress : Progress
        Called with (indexes measured, indexes).

    Returns
    -------
    dict
        `rows` (one a size: the seconds of the scan, and of a scan of `FEATURES` numbers a row; of each index its
        making, its bytes, its recall and seconds a query for `target`, at the largest size also `alike`, the recall of
        both its ends for `unsure`, and after how many queries it has paid), `growth` of scan and making, `paper`
        (the same computed for `SIZES`), and the setting.
    """
    rng = np.random.default_rng(seed)
    base = _mixture(2_000, width, rng) if base is None else np.asarray(base, dtype=np.float32)
    rows = enlarged(base, max(sizes), rng)
    features = np.ascontiguousarray(rows[:, :FEATURES])  # the time does not depend on which numbers they are
    heads = heads_of(base, N_QUERIES, rng)
    weights = [weight for weight, _ in heads]
    asked = rng.choice(min(sizes), N_QUERIES, replace=False)
    unit = _unit(rows)
    images = [unit[k].astype(np.float32) for k in asked]
    alike = [_likeliest(unit, image) for image in images]
    done, total = 0, len(sizes) * len(INDEXES)
    progress(done, total)
    measured = []
    for n in sizes:
        part = rows[:n]
        targets, scan_s = _timed(partial(_likeliest, part), weights)
        unsure = [exact(part, *head)[1] for head in heads]
        _, features_s = _timed(partial(_likeliest, features[:n]), [weight[:FEATURES] for weight in weights])
        row: dict[str, Any] = {
            "n": n, "scan_s": digits(scan_s), "features_s": digits(features_s), "indexes": {},
        }  # fmt: skip
        for name, make in INDEXES.items():
            start = perf_counter()
            search, n_bytes = make(part)
            built = Built(search, n_bytes, perf_counter() - start)
            found = _question(built, weights, targets, scan_s)
            both = [_either_side(built.search, weight) for weight in weights]
            found["unsure_recall"] = digits(float(np.mean([recall(a, b) for a, b in zip(both, unsure, strict=True)])))
            if n == max(sizes):
                search, _ = make(unit)
                found["alike"] = _best(search, images, alike)
            row["indexes"][name] = found
            done += 1
            progress(done, total)
        measured.append(row)
    growth = _growth(measured)
    return {
        "rows": measured, "growth": growth, "paper": [_on_paper(measured[-1], growth, n) for n in SIZES], "k": K,
        "queries": N_QUERIES, "good": GOOD, "width": int(base.shape[1]), "base": len(base), "seed": seed,
    }  # fmt: skip


def enlarged(base: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    """Make more embeddings of some: each lies between one of them and one of its five nearest, with a little noise.

    Parameters
    ----------
    base : array, shape (n_base, width)
        Embeddings.
    n : int
        How many to make.
    rng : Generator
        Of all draws.

    Returns
    -------
    array, shape (n, width)
        In float16. The noise has a tenth of the base's standard deviation, number by number.

    References
    ----------
    Chawla et al. (2002), "SMOTE: synthetic minority over-sampling technique", J. Artif. Intell. Res. 16.
    """
    unit = _unit(base).astype(np.float32)
    near = np.argpartition(-(unit @ unit.T), np.arange(1, 6), axis=1)[:, 1:6]
    spread = base.std(axis=0) / 10
    rows = np.empty((n, base.shape[1]), dtype=np.float16)
    for start in range(0, n, CHUNK):
        part = rows[start : start + CHUNK]
        one = rng.integers(len(base), size=len(part))
        other = near[one, rng.integers(near.shape[1], size=len(part))]
        share = rng.random((len(part), 1), dtype=np.float32)
        noise = rng.standard_normal(part.shape, dtype=np.float32) * spread
        part[:] = base[one] + share * (base[other] - base[one]) + noise
    return rows


def heads_of(base: FloatArray, n: int, rng: np.random.Generator) -> list[tuple[FloatArray, float]]:
    """Train linear heads as rounds would: each on 800 noisy looks at a target of its own.

    A target is what lies in a random direction, 12 % of the images.

    Returns
    -------
    list of (array of shape (width,), float)
        Weights on the embedding itself, and bias: a projection and the weights behind it are one vector.
    """
    features = Projection.fit(base, 128)
    known = features(base)
    heads = []
    for _ in range(n):
        lean = known @ rng.normal(size=known.shape[1])
        truth = lean > np.quantile(lean, 0.88)
        looks = rng.choice(len(base), min(800, len(base)), replace=False)
        d = 1.4657  # the separation of two unit Gaussians with an AUC of .85
        evidence = d * (rng.normal(size=looks.size) + d * truth[looks]) - d * d / 2
        head = train_head(known[looks], evidence)
        weight = features.components @ head.weight
        heads.append((weight.astype(np.float32), float(head.bias - features.mean @ weight)))
    return heads


def exact(rows: FloatArray, weight: FloatArray, bias: float = 0.0) -> tuple[IntArray, IntArray]:
    """Scan all rows as a ranking does, on all cores: the `K` largest ``z = w.x + b``, and the `K` of least ``|z|``."""
    from brainloop.collection.scoring import CHUNK as SMALL
    from brainloop.collection.scoring import widen

    z, n = np.empty(len(rows), dtype=np.float32), default_workers()

    def score(worker: int) -> None:
        held = np.empty((SMALL, rows.shape[1]), dtype=np.float32)
        bits = np.empty(held.shape, dtype=np.int16)
        for start in range(worker * SMALL, len(rows), n * SMALL):
            part = rows[start : start + SMALL]
            widen(part, held[: len(part)], bits[: len(part)])
            np.matmul(held[: len(part)], weight, out=z[start : start + SMALL])

    with one_thread(), ThreadPoolExecutor(n) as threads:
        list(threads.map(score, range(n)))
    z += np.float32(bias)
    k = min(K, len(z))
    return np.argpartition(-z, k - 1)[:k], np.argpartition(np.abs(z), k - 1)[:k]


def _likeliest(rows: FloatArray, weight: FloatArray) -> IntArray:
    return exact(rows, weight)[0]


def recall(found: IntArray, wanted: IntArray) -> float:
    """Give the share of what was wanted that was found."""
    return float(np.isin(wanted, found).mean())


def _question(built: Built, queries: Sequence[FloatArray], wanted: Sequence[IntArray], scan_s: float) -> dict[str, Any]:
    """Describe an index: its making, its best answers about targets, and after how many of them it has paid."""
    best = _best(built.search, queries, wanted)
    pays = None if best["recall"] < GOOD else pays_after(built.build_s, scan_s, best["query_s"])
    return {
        "build_s": digits(built.build_s), "bytes": built.n_bytes, "target": best,
        "pays_after": None if pays is None else round(pays),
    }  # fmt: skip


def _best(search: Search, queries: Sequence[FloatArray], wanted: Sequence[IntArray]) -> dict[str, Any]:
    """Ask with rising effort until the recall is good; the last answer stands where it never is."""
    answer: dict[str, Any] = {}
    for effort in EFFORTS:
        search(effort, queries[0])  # the first call allocates
        found, query_s = _timed(partial(search, effort), queries)
        mean = float(np.mean([recall(a, b) for a, b in zip(found, wanted, strict=True)]))
        answer = {"recall": digits(mean), "query_s": digits(query_s), "effort": effort}
        if mean >= GOOD:
            break
    return answer


def _either_side(search: Search, weight: FloatArray) -> IntArray:
    """Ask for both ends of a head, at the highest effort: half of the rows from each."""
    return np.concatenate([search(EFFORTS[-1], sign * weight)[: K // 2] for sign in (1, -1)])


def _timed(ask: Callable[[FloatArray], IntArray], queries: Sequence[FloatArray]) -> tuple[list[IntArray], float]:
    """Ask every query once; give the answers and the median seconds of one."""
    found, took = [], []
    for query in queries:
        start = perf_counter()
        found.append(ask(query))
        took.append(perf_counter() - start)
    return found, float(np.median(took))


def _growth(measured: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Fit how the scans and the making of each index grow with the rows."""
    sizes = [row["n"] for row in measured]
    series = {what: [row[f"{what}_s"] for row in measured] for what in ("scan", "features")}
    for name in INDEXES:
        series[f"{name} build"] = [row["indexes"][name]["build_s"] for row in measured]
    fits = {name: fit_growth(sizes, seconds) for name, seconds in series.items()}
    return {
        name: {"factor": fit.factor, "exponent": digits(fit.exponent), "r2": digits(fit.r2)}
        for name, fit in fits.items()
    }


def _on_paper(last: Mapping[str, Any], growth: Mapping[str, Any], n: int) -> dict[str, Any]:
    """Compute scan, making and memory at `n` rows.

    What reads every row grows in proportion, whatever a fit over small sizes says. The making of an index follows its
    fit, up to `FURTHEST` times what was measured. Its query is taken for free, so that it has paid after `at_least` so
    many: how a query grows at a given recall cannot be told from sizes at which it needed different effort.
    """
    times = n / last["n"]
    scan_s, indexes = last["scan_s"] * times, {}
    for name, one in last["indexes"].items():
        build_s = Growth(**growth[f"{name} build"]).at(n) if times <= FURTHEST and name != "faiss flat" else None
        indexes[name] = {
            "bytes": round(one["bytes"] * times),
            "build_s": None if build_s is None else digits(build_s),
            "at_least": None if build_s is None else round(build_s / scan_s),
        }
    return {"rows": n, "scan_s": digits(scan_s), "features_s": digits(last["features_s"] * times), "indexes": indexes}


def _faiss(purpose: str) -> Any:
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError("faiss", "bench", purpose, error) from error
    return faiss


def _flat(rows: FloatArray) -> tuple[Search, int]:
    """FAISS, exact, in float16 in memory; effort is nothing to it."""
    faiss = _faiss("the bench of indexes")
    index = faiss.IndexScalarQuantizer(rows.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    _fill(index, rows)
    return (lambda _effort, query: index.search(query[None], K)[1][0]), int(index.sa_code_size() * len(rows))


def _ivf(rows: FloatArray) -> tuple[Search, int]:
    """FAISS, inverted lists: ``4 sqrt(n)`` of them, as its guidelines have it; effort is how many a query opens."""
    faiss = _faiss("the bench of indexes")
    lists = int(4 * len(rows) ** 0.5)
    quantizer = faiss.IndexFlatIP(rows.shape[1])
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, rows.shape[1], lists, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.niter = 10  # of 25: hardly worse lists, in 40 % of the time
    index.cp.min_points_per_centroid = 1  # fewer than FAISS likes only where there are hardly any rows at all
    index.train(rows[: 40 * lists].astype(np.float32))
    _fill(index, rows)

    def search(effort: int, query: FloatArray) -> IntArray:
        index.nprobe = min(effort, lists)
        return np.asarray(index.search(query[None], K)[1][0])

    return search, int(index.sa_code_size() * len(rows) + 8 * len(rows) + 4 * rows.shape[1] * lists)


def _hnsw(rows: FloatArray) -> tuple[Search, int]:
    """FAISS, a graph with 32 links a row; effort is how many candidates a query keeps."""
    faiss = _faiss("the bench of indexes")
    index = faiss.IndexHNSWSQ(rows.shape[1], faiss.ScalarQuantizer.QT_fp16, 32, faiss.METRIC_INNER_PRODUCT)
    index.train(rows[:CHUNK].astype(np.float32))
    _fill(index, rows)

    def search(effort: int, query: FloatArray) -> IntArray:
        index.hnsw.efSearch = max(effort, K)
        return np.asarray(index.search(query[None], K)[1][0])

    links = index.hnsw.neighbors.size()
    return search, int(index.storage.sa_code_size() * len(rows) + 4 * links)


def _usearch(rows: FloatArray) -> tuple[Search, int]:
    """USearch, a graph with its own defaults; effort as for the other graph."""
    try:
        from usearch.index import Index
    except ImportError as error:
        raise MissingExtraError("usearch", "bench", "the bench of indexes", error) from error
    index: Any = Index(ndim=rows.shape[1], metric="ip", dtype="f16")
    index.add(np.arange(len(rows)), rows)

    def search(effort: int, query: FloatArray) -> IntArray:
        index.expansion_search = max(effort, K)
        return np.asarray(index.search(query, K).keys, dtype=np.int64)

    return search, int(index.memory_usage)


def _fill(index: Any, rows: FloatArray) -> None:
    for start in range(0, len(rows), CHUNK):
        index.add(rows[start : start + CHUNK].astype(np.float32))


INDEXES: dict[str, Callable[[FloatArray], tuple[Search, int]]] = {
    "faiss flat": _flat, "faiss IVF": _ivf, "faiss HNSW": _hnsw, "usearch": _usearch,
}  # fmt: skip
"""Every index, by its name in the tables: from rows (n, width) in float16 to its search and the bytes that it holds."""


def _mixture(n: int, width: int, rng: np.random.Generator) -> FloatArray:
    """Draw from 50 Gaussians with the decaying spectrum of real embeddings, cut at 0 as a network's last layer does."""
    spectrum = np.arange(1, width + 1) ** -0.5
    turned = np.linalg.qr(rng.normal(size=(width, width)))[0]
    centres = rng.normal(size=(50, width)) * spectrum
    points = centres[rng.integers(50, size=n)] + 0.7 * rng.normal(size=(n, width)) * spectrum
    return np.asarray(np.maximum(points @ turned, 0), dtype=np.float32)


def _unit(rows: FloatArray) -> FloatArray:
    """Scale rows to unit norm, in their own precision."""
    norm: FloatArray = np.linalg.norm(rows.astype(np.float32, copy=False), axis=1, keepdims=True)
    return np.divide(rows, np.maximum(norm, 1e-6), dtype=np.float32).astype(rows.dtype)
