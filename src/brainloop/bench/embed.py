"""How much of the speed of inference is left when images come from files and vectors go to disk."""

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import onnxruntime
import PIL
from numpy.typing import NDArray

from brainloop._types import Progress, no_progress
from brainloop.images.backbones import load_backbone
from brainloop.images.decode import decode
from brainloop.images.embeddings import default_workers, embed
from brainloop.images.pool import scan

__all__ = ["bench_embed"]


def bench_embed(
    images: Path,
    backbone: str | Path,
    *,
    output: str | None = None,
    batch: int | None = None,
    workers: int | None = None,
    limit: int = 1000,
    repeats: int = 5,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Compare embedding end to end with inference alone.

    End to end is :func:`~brainloop.images.embeddings.embed`: files are read, hashed, decoded, resized,
    cropped and embedded, and vectors are written and synced to disk. Inference alone does to arrays that were
    decoded before what the backbone does to them: resize, crop, normalise, run; from as many threads, in
    batches as large. Beside it stands the same on arrays that were resized and cropped before as well, the
    strictest comparison. All take turns within one run, so that whatever else the machine does falls on each,
    and every ratio is of neighbours in time.

    Parameters
    ----------
    images : Path
        A folder of images.
    backbone : str or Path
        See :func:`~brainloop.images.backbones.load_backbone`.
    output : str, optional
        The backbone's output.
    batch, workers : int, optional
        As for `embed`.
    limit : int
        Number of images, spread over the folder; decoded, all are held in memory.
    repeats : int
        Number of turns.
    progress : Progress
        Called with (turns, repeats).

    Returns
    -------
    dict
        Ready for JSON: images per second (median, lowest and highest of the turns) end to end, of inference,
        and of inference on prepared arrays; `ratio`, end to end over inference, and `ratio_prepared`; both in
        processor time, which other work on the machine disturbs less; the
        largest absolute difference between the vectors of the cache and of inference; and the setting.
    """
    network = load_backbone(backbone, output=output)
    batch = network.batch if batch is None else batch
    workers = default_workers() if workers is None else workers
    pool = scan(images)
    chosen = pool.images[:: max(1, len(pool) // limit)][:limit]
    decoded = [decode(pool.path(image)) for image in chosen]
    groups = [decoded[start : start + batch] for start in range(0, len(decoded), batch)]

    def prepare(group: list[NDArray[np.uint8]]) -> NDArray[Any]:
        return np.stack([network.prepare(rgb) for rgb in group])

    def infer(group: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return network.embed(prepare(group))

    prepared = [prepare(group) for group in groups]
    whole: list[_Turn] = []
    decoded_only: list[_Turn] = []
    prepared_only: list[_Turn] = []
    difference = 0.0
    progress(0, repeats)
    with ThreadPoolExecutor(workers) as threads:
        list(threads.map(infer, groups[: 2 * workers]))  # the first calls allocate
        for turn in range(repeats):
            with tempfile.TemporaryDirectory(prefix="brainloop-bench-") as folder:
                with _timed(whole, len(chosen)):
                    embedded = embed(chosen, pool.root, network, Path(folder), batch=batch, workers=workers)
                cached = embedded.rows(image.hash for image in chosen)
            with _timed(decoded_only, len(chosen)):
                vectors = list(threads.map(infer, groups))
            with _timed(prepared_only, len(chosen)):
                list(threads.map(network.embed, prepared))
            difference = max(difference, float(np.abs(cached - np.concatenate(vectors)).max()))
            progress(turn + 1, repeats)
    return {
        "images": len(chosen),
        "backbone": network.name,
        "width": network.width,
        "batch": batch,
        "workers": workers,
        "cpus": default_workers(),
        "onnxruntime": onnxruntime.__version__,
        "pillow": PIL.__version__,
        "end_to_end_images_per_s": _summary([turn.images_per_s for turn in whole]),
        "inference_images_per_s": _summary([turn.images_per_s for turn in decoded_only]),
        "inference_prepared_images_per_s": _summary([turn.images_per_s for turn in prepared_only]),
        "ratio": _ratio(whole, decoded_only, "images_per_s"),
        "ratio_prepared": _ratio(whole, prepared_only, "images_per_s"),
        "ratio_cpu": _ratio(whole, decoded_only, "images_per_cpu_s"),
        "ratio_prepared_cpu": _ratio(whole, prepared_only, "images_per_cpu_s"),
        "largest_difference": difference,
    }


@dataclass(frozen=True)
class _Turn:
    images_per_s: float
    images_per_cpu_s: float


@contextmanager
def _timed(turns: list[_Turn], images: int) -> Iterator[None]:
    wall, cpu = perf_counter(), process_time()
    yield
    turns.append(_Turn(images / (perf_counter() - wall), images / (process_time() - cpu)))


def _ratio(whole: Sequence[_Turn], part: Sequence[_Turn], speed: str) -> dict[str, Any]:
    return _summary([getattr(a, speed) / getattr(b, speed) for a, b in zip(whole, part, strict=True)])


def _summary(values: Sequence[float]) -> dict[str, Any]:
    return {
        "median": round(statistics.median(values), 3),
        "lowest": round(min(values), 3),
        "highest": round(max(values), 3),
        "turns": [round(value, 3) for value in values],
    }
