"""Several stations, several people, millions of images: every figure of docs/scale.md."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from shutil import disk_usage
from typing import Any

from brainloop._types import Progress, no_progress
from brainloop.bench.machine import machine
from brainloop.bench.scale_growth import SIZES, on_paper
from brainloop.errors import SettingsError

__all__ = ["PARTS", "bench_scale", "needed_bytes"]

PARTS = ("rows", "ray", "people", "stations", "costs", "index")
"""What is measured, in this order."""

WIDTH = 1280
"""Numbers an image, as MobileNetV2 gives them."""

Bars = Callable[[str], AbstractContextManager[Progress]]
"""From the name of a part to the `Progress` that it reports to."""


def _no_bar(_part: str) -> AbstractContextManager[Progress]:
    return nullcontext(no_progress)


def bench_scale(
    folder: Path,
    *,
    rows: int = 1_000_000,
    seeds: Sequence[int] = range(1000, 1010),
    only: Sequence[str] = (),
    images: Path | None = None,
    backbone: str | Path = "builtin",
    bars: Bars = _no_bar,
) -> dict[str, Any]:
    """Measure how far brainloop scales.

    Parameters
    ----------
    folder : Path
        For all that is made, on the disk that is measured.
    rows : int
        Vectors that are scored, 1280 float16 numbers each.
    seeds : sequence of int
        Of the people.
    only : sequence of str
        Parts to measure, of `PARTS`; all by default.
    images : Path, optional
        Photographs whose stages are timed; generated ones by default.
    backbone : str or Path
        See `brainloop.images.backbones.load_backbone`.
    bars : callable
        See `Bars`.

    Returns
    -------
    dict
        Ready for JSON. Of `rows` and `ray` the figures stand at the top, of the other parts under their names; `paper`
        is computed from `costs`.

    Raises
    ------
    SettingsError
        If a part is unknown, or the disk has too little room.
    """
    if unknown := [name for name in only if name not in PARTS]:
        raise SettingsError(f"only: expected parts of {', '.join(PARTS)}; {', '.join(unknown)} came: name others")
    chosen = [name for name in PARTS if not only or name in only]
    needed, free = needed_bytes(chosen, rows), disk_usage(folder).free
    if free < needed:
        raise SettingsError(
            f"expected {needed / 1e9:.1f} GB free at {folder} for {rows:,} rows, found {free / 1e9:.1f} GB: "
            "set TMPDIR to a folder on a larger disk, or measure fewer rows"
        )
    figures: dict[str, Any] = {"rows": rows}
    for name in chosen:
        with bars(name) as progress:
            figures |= _MEASURE[name](folder, rows, seeds, images, backbone, progress)
    return figures | {"machine": machine()}


def needed_bytes(parts: Sequence[str], rows: int) -> int:
    """Give the bytes of disk that some parts write, a tenth more than they should."""
    vectors = 2 * WIDTH
    needs = {
        "rows": rows * vectors, "ray": 200_000 * vectors, "stations": 500_000_000,
        "costs": 131_072 * vectors + 1_500_000_000,
    }  # fmt: skip
    # One after the other, each gone before the next: the largest is what must fit.
    return round(1.1 * max([needs.get(name, 0) for name in parts], default=0))


def _rows(
    folder: Path, rows: int, _seeds: Sequence[int], _images: Path | None, _backbone: str | Path, progress: Progress
) -> dict[str, Any]:
    from brainloop.bench.scale_rows import bench_rows

    return bench_rows(rows, folder=folder, ray=False, progress=progress)


def _ray(
    folder: Path, _rows: int, _seeds: Sequence[int], _images: Path | None, _backbone: str | Path, progress: Progress
) -> dict[str, Any]:
    from brainloop.bench.scale_rows import bench_ray

    return bench_ray(folder=folder, progress=progress)


def _people(
    _folder: Path, _rows: int, seeds: Sequence[int], _images: Path | None, _backbone: str | Path, progress: Progress
) -> dict[str, Any]:
    from brainloop.bench.scale_people import bench_people

    return {"people": bench_people(seeds, progress=progress)}


def _stations(
    folder: Path, _rows: int, _seeds: Sequence[int], _images: Path | None, _backbone: str | Path, progress: Progress
) -> dict[str, Any]:
    from brainloop.bench.scale_stations import bench_stations

    return {"stations": bench_stations(folder=folder, progress=progress)}


def _costs(
    folder: Path, _rows: int, _seeds: Sequence[int], images: Path | None, backbone: str | Path, progress: Progress
) -> dict[str, Any]:
    from brainloop.bench.scale_costs import bench_costs

    costs = bench_costs(folder, images, backbone, progress=progress)
    return {"costs": costs, "paper": [on_paper(costs, n) for n in SIZES]}


def _index(
    folder: Path, _rows: int, _seeds: Sequence[int], images: Path | None, backbone: str | Path, progress: Progress
) -> dict[str, Any]:
    from brainloop.bench.scale_costs import photographs_of
    from brainloop.bench.scale_index import bench_index
    from brainloop.images.backbones import load_backbone
    from brainloop.images.embeddings import embed

    if images is None:
        return {"index": bench_index(progress=progress)}
    pool, network = photographs_of(folder, images, 2_000), load_backbone(backbone)
    vectors = embed(pool.images, pool.root, network, folder / "embeddings").matrix
    return {"index": bench_index(base=vectors, progress=progress)}


_MEASURE: dict[str, Callable[..., dict[str, Any]]] = {
    "rows": _rows, "ray": _ray, "people": _people, "stations": _stations, "costs": _costs, "index": _index,
}  # fmt: skip
