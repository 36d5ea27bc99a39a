"""The tables of the bench of scale, in Markdown; of a part that was not measured there is none."""

from collections.abc import Mapping
from typing import Any

from brainloop.bench.scale_growth import CORES, GPU

__all__ = ["STAGE_WORDS", "tables"]

STAGE_WORDS = {
    "scan": "scan: header, hash",
    "decode": "decode, resize, crop",
    "embed": "embed",
    "score_linear": "score, linear head",
    "score_kernel": "score, kernel head",
    "query": "query: variance reduction",
    "train": "train a head",
    "store_sqlite": "store a look, SQLite",
    "store_postgres": "store a look, PostgreSQL",
}
"""What the tables call each stage."""

KEPT_WORDS = {
    "image": "images, where they lie", "manifest": "manifest", "vector": "vectors, float16", "score": "scores, float32",
}  # fmt: skip


def tables(figures: Mapping[str, Any]) -> str:
    """Give every table: the bars, costs, 10 million and a billion images, and the index."""
    parts = [_bars(figures)]
    if "costs" in figures:
        parts += [_costs(figures["costs"]), _passes(figures["paper"]), _gpus(figures), _kept(figures["paper"])]
    if "index" in figures:
        parts += [_index(figures["index"]), _index_on_paper(figures["index"])]
    if "machine" in figures:
        on = figures["machine"]
        parts.append(f"Measured on: {on['processor']}, {on['cores']} cores, numpy {on['numpy']}.")
    return "\n\n".join(part for part in parts if part)


def _bars(figures: Mapping[str, Any]) -> str:
    rows: list[tuple[str, str, str]] = []
    if "speed_ratio" in figures:
        rows += [
            (
                f"score and query, {figures['rows']:,} x 1280 float16, linear head: speed over a chunked product",
                f"{figures['speed_ratio']:.2f}", "at least .8",
            ),
            (
                "the same, kernel head: over the product with its landmarks",
                f"{figures['kernel_speed_ratio']:.2f}", "at least .7",
            ),
            ("peak anonymous memory", f"{figures['anonymous_memory_mib']:.0f} MiB", "at most 512 MiB"),
            ("seconds a row, over those at a tenth of the rows", f"{figures['growth']:.3f}", ".85 to 1.15"),
        ]  # fmt: skip
    if "ray_overhead" in figures:
        rows += [
            ("largest difference of scores, Ray on two workers", f"{figures['ray_max_difference']:.1e}", "1e-5"),
            (
                "overhead of Ray, 200,000 rows, kernel head, once started",
                f"{figures['ray_overhead']:+.0%}",
                "at most 25 %",
            ),
        ]
    if "ray_overhead_linear" in figures:
        rows.append(("the same, linear head, which is done in .1 s here", f"{figures['ray_overhead_linear']:+.0%}", ""))
    if stations := figures.get("stations"):
        rows += [
            ("looks lost, four stations on one PostgreSQL", str(stations["looks_lost"]), "0"),
            ("double leases", str(stations["double_leases"]), "0"),
        ]
        if stations.get("auc_difference") is not None:
            rows.append(
                ("AUC against looks, over a single station's", f"{stations['auc_difference']:+.4f}", "within .005")
            )
    if people := figures.get("people"):
        rows += [
            ("AUC of four people of decoder AUC .75, one look each", f"{people['four']:.3f}",
             f"{people['predicted']:.3f} ± .02"),
            ("the same, one of the four at random", f"{people['one_random']:.3f}",
             f"{people['three']:.3f} ± .02" if "three" in people else "that of three ± .02"),
        ]  # fmt: skip
    return _table(("", "measured", "bar"), rows)


def _costs(costs: Mapping[str, Any]) -> str:
    rows = []
    for name, words in STAGE_WORDS.items():
        one = costs["stages"][name]
        if one is None:
            continue
        named = f"{words}, {_plain_name(costs['backbone'])}" if name == "embed" else words
        sizes = f"{one['sizes'][0]:,} to {one['sizes'][-1]:,}"
        cells = (named, one["per"], seconds_of(one["core_s_each"]), f"{one['exponent']:.2f}", f"{one['r2']:.4f}", sizes)
        rows.append(cells)
    each = costs["bytes"]
    rest = (
        f"Bytes an image: file {each['image']:,.0f}, manifest {each['manifest']:.0f}, vector {each['vector']:,.0f}, "
        f"score {each['score']:.0f}. The disk read {costs['disk_bytes_per_s'] / 1e9:.2f} GB/s."
    )
    head = ("measured: stage", "per", "cost each, one core", "exponent", "R²", "sizes")
    return f"{_table(head, rows)}\n\n{rest}"


def _passes(paper: list[Mapping[str, Any]]) -> str:
    two, many = map(str, CORES)
    rows = []
    for one in paper:
        for name, found in one["passes"].items():
            on = found["on"]
            rows.append((
                count(one["images"]), STAGE_WORDS[name], hours_of(found["core_hours"]), bytes_of(found["bytes_read"]),
                *(f"{hours_of(on[cores]['hours'])}: {on[cores]['bottleneck']}" for cores in (two, many)),
            ))  # fmt: skip
    head = ("computed: images", "pass", "core time", "read", f"{two} cores, own disk", f"{many} cores, 10 Gbit/s")
    return _table(head, rows)


def _gpus(figures: Mapping[str, Any]) -> str:
    rows = []
    for name in figures["paper"][0]["gpu"]:
        both = [one["gpu"][name] for one in figures["paper"]]
        rows.append((name, *(hours_of(one["gpu_hours"]) for one in both), f"{both[0]['cores']:.0f}"))
    sizes = [f"{count(one['images'])} images" for one in figures["paper"]]
    return _table((f"computed: embedding on one {GPU}", *sizes, "cores that decode as fast"), rows)


def _kept(paper: list[Mapping[str, Any]]) -> str:
    rows = [(words, *(bytes_of(one["bytes"][name]) for one in paper)) for name, words in KEPT_WORDS.items()]
    return _table(("computed: bytes", *(f"{count(one['images'])} images" for one in paper)), rows)


def _index(index: Mapping[str, Any]) -> str:
    rows = []
    for row in index["rows"]:
        rows.append((f"{row['n']:,}", "scan, exact", "", "", "1.00", seconds_of(row["scan_s"]), "", "1.00", "1.00"))
        rows.append(("", "scan of 128 features", "", "", "1.00", seconds_of(row["features_s"]), "", "", "1.00"))
        for name, one in row["indexes"].items():
            target, alike = one["target"], one.get("alike")
            rows.append((
                "", name, seconds_of(one["build_s"]), bytes_of(one["bytes"]), f"{target['recall']:.2f}",
                seconds_of(target["query_s"]), _pays(one["pays_after"]), f"{alike['recall']:.2f}" if alike else "",
                f"{one['unsure_recall']:.2f}",
            ))  # fmt: skip
    head = (
        "measured: rows", "", "made in", "memory", "targets: recall", "a query", "paid after queries",
        "alike: recall", "unsure: recall",
    )  # fmt: skip
    return _table(head, rows)


def _index_on_paper(index: Mapping[str, Any]) -> str:
    rows = []
    for one in index["paper"]:
        rows.append((count(one["rows"]), "scan, exact", "", "", seconds_of(one["scan_s"]), ""))
        rows.append(("", "scan of 128 features", "", "", seconds_of(one["features_s"]), ""))
        for name, found in one["indexes"].items():
            made, least = found["build_s"], found["at_least"]
            rows.append((
                "", name, "" if made is None else seconds_of(made), bytes_of(found["bytes"]), "",
                "" if least is None else f"{least:,}",
            ))  # fmt: skip
    return _table(("computed: rows", "", "made in", "memory", "a scan", "paid after queries, at least"), rows)


def _pays(queries: int | None) -> str:
    return "never" if queries is None else f"{max(queries, 1):,}"


def _plain_name(backbone: str) -> str:
    return backbone.rstrip("/").rpartition("/")[2]


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    if not rows:
        return ""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ("---",) * len(head), *rows])


def count(n: int) -> str:
    """Say a number of images in words: 10 million, 1 billion."""
    for size, word in ((10**9, "billion"), (10**6, "million")):
        if n >= size:
            return f"{n / size:g} {word}"
    return f"{n:,}"


def seconds_of(s: float) -> str:
    """Say a time in the unit that suits it, two digits, from nanoseconds to days."""
    if s >= 60:
        return hours_of(s / 3600)
    for size, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if s >= size:
            return f"{_two(s / size)} {unit}"
    return f"{_two(s / 1e-9)} ns"


def hours_of(h: float) -> str:
    """Say a long time in the unit that suits it, two digits, from seconds to years."""
    for size, unit in ((24 * 365, "years"), (48, "days"), (1, "h"), (1 / 60, "min")):
        if h >= size:
            return f"{_two(h / (24 if unit == 'days' else size))} {unit}"
    return f"{_two(h * 3600)} s"


def bytes_of(n: float) -> str:
    """Say a number of bytes in the unit that suits it, two digits; a kB is 1000."""
    for size, unit in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n >= size:
            return f"{_two(n / size)} {unit}"
    return f"{n:.0f} B"


def _two(value: float) -> str:
    """Give two digits, or all before the point."""
    if value >= 99.5:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"
