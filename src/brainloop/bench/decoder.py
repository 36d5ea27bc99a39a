"""``brainloop bench decoder``: every method on every recording, the controls, and new people."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from multiprocessing import get_context
from time import perf_counter
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from brainloop._types import Progress, no_progress
from brainloop.bench.decoder_epochs import FIRST_SHARE, PURGE, Epoched
from brainloop.bench.decoder_speed import speed
from brainloop.bench.decoder_transfer import OWN_TRIALS, TESTED_AFTER, collect, newcomers, welcome
from brainloop.bench.machine import machine
from brainloop.bench.statistics import plain
from brainloop.classifier.measure import auc_interval
from brainloop.decoder.evaluation import ece, score_folds
from brainloop.eeg.recordings import Recording
from brainloop.eeg.signal import Signal
from brainloop.errors import BrainloopError
from brainloop.images.embeddings import default_workers

__all__ = ["BASELINES", "bench_decoder", "compare"]

BASELINES = ("lda", "xdawn_lda", "xdawn_ts", "eegnet")
"""Single decoders that the ensemble must beat."""

SPLIT_NAMES = ("blocks", "time")

N_PERMUTATIONS = 20

PERMUTED = "xdawn_ts"
"""The ensemble takes ten times as long; this one learns filters, means and a classifier from the labels, as it does."""

PRESTIMULUS = Signal(tmin=-0.1, tmax=0.0)
"""Before the image: what is decoded there is the order of the presentations, or a leak."""

Job = tuple[Callable[..., dict[str, Any]], tuple[Any, ...]]
"""A function and its arguments."""


def bench_decoder(
    recordings: Sequence[Recording],
    *,
    first_seed: int = 1000,
    baselines: Sequence[str] = BASELINES,
    ensemble: str = "ensemble",
    permuted: str = PERMUTED,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Measure decoders on recordings.

    Methods are fitted one after another, with the machine to themselves, as their times are reported. Controls and
    new people come after that, on as many processes as there are cores, each with one thread; the processes are
    spawned, so a script that calls this needs ``if __name__ == "__main__":`` around it.

    Parameters
    ----------
    recordings : sequence of Recording
        One session each.
    first_seed : int
        Of the networks, and of the first of the permutations.
    baselines : sequence of str
        Names in `brainloop.decoder.members.METHODS`.
    ensemble : str
        The method that is held against them, that of the control before the image and of new people.
    permuted : str
        The method of the control with permuted labels.
    workers : int, optional
        Processes; with 1, all is done in this one.
    progress : Progress
        Called with (jobs done, jobs).

    Returns
    -------
    dict
        What the command writes as JSON. `recordings`: of each, its counts, and for each method and control what
        `Scored.summary` measures in `blocks` and `time`, `fit_s` (mean over the five of `blocks`, with calibration)
        and `score_ms`; a method that cannot be made has an `error` there. `transfer`: see
        `brainloop.bench.decoder_transfer`. `datasets`: see `compare`. `speed`: see `brainloop.bench.decoder_speed`.
    """
    import_module("torch")  # takes a second, once in a process: no fit should pay for it

    begun = perf_counter()
    cut = [Epoched.of(recording, Signal()) for recording in recordings]
    people, refused = newcomers(recordings)
    timed: list[Job] = [(_method, (one, method, first_seed)) for one in cut for method in (*baselines, ensemble)]
    untimed: list[Job] = [(_permuted, (one, permuted, first_seed)) for one in cut]
    untimed += [(_method, (Epoched.of(one, PRESTIMULUS), ensemble, first_seed)) for one in recordings]
    untimed += [(welcome, (person, n_own, ensemble, first_seed)) for person in people for n_own in OWN_TRIALS]
    total = len(timed) + len(untimed)
    measured = _in_turn(timed, lambda done, _: progress(done, total))
    fast = speed(ensemble, seed=first_seed)
    timed_s = perf_counter() - begun
    rest = _at_once(untimed, workers, lambda done, _: progress(len(timed) + done, total))
    rows = []
    for number, (recording, one) in enumerate(zip(recordings, cut, strict=True)):
        n_methods = len(baselines) + 1
        own = measured[number * n_methods : (number + 1) * n_methods]
        controls = {"control_permuted": rest[number], "control_prestimulus": rest[len(cut) + number]}
        rows.append(
            _about(recording, one) | {"methods": dict(zip((*baselines, ensemble), own, strict=True)) | controls}
        )
    figures: dict[str, Any] = _rounded(
        {
            "recordings": rows,
            "transfer": collect(rest[2 * len(cut) :]),
            "no_transfer": refused,
            "datasets": compare(rows, baselines, ensemble),
            "speed": fast,
            "settings": {
                "first_seed": first_seed,
                "first_share": FIRST_SHARE,
                "purge_s": PURGE,
                "tested_after": TESTED_AFTER,
                "permutations": N_PERMUTATIONS,
                "signal": asdict(Signal()),
                "prestimulus": {"tmin": PRESTIMULUS.tmin, "tmax": PRESTIMULUS.tmax},
            },
            "seconds": {"timed": timed_s, "total": perf_counter() - begun},
            "machine": machine() | {"torch": version("torch")},
        }
    )
    return figures


def compare(
    rows: Sequence[Mapping[str, Any]], baselines: Sequence[str] = BASELINES, ensemble: str = "ensemble"
) -> dict[str, Any]:
    """Hold the ensemble against single decoders, data set by data set.

    Parameters
    ----------
    rows : sequence of mapping
        `recordings` of `bench_decoder`; where a method could not be made in a split, the recording is left out of it.
    baselines, ensemble
        Names of methods.

    Returns
    -------
    dict
        By data set and split: `n` recordings, `auc` (the mean of each method), `best` (the single baseline of the
        highest mean), `gain` of the ensemble over it, and `worst`: the recording on which the ensemble is least above
        that recording's own best baseline, `name` and `gain`. A split without a recording is left out.
    """
    found: dict[str, Any] = {}
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        found[dataset] = {}
        for split in SPLIT_NAMES:
            aucs = {
                row["name"]: {name: row["methods"][name][split].get("auc") for name in (*baselines, ensemble)}
                for row in rows
                if row["dataset"] == dataset
            }
            whole = {name: of for name, of in aucs.items() if None not in of.values()}
            if not whole:
                continue
            mean = {method: float(np.mean([of[method] for of in whole.values()])) for method in (*baselines, ensemble)}
            best = max(baselines, key=mean.__getitem__)
            gains = {name: of[ensemble] - max(of[method] for method in baselines) for name, of in whole.items()}
            worst = min(gains, key=gains.__getitem__)
            found[dataset][split] = {
                "n": len(whole),
                "auc": mean,
                "best": best,
                "gain": mean[ensemble] - mean[best],
                "worst": {"name": worst, "gain": gains[worst]},
            }
    return found


def _about(recording: Recording, epochs: Epoched) -> dict[str, Any]:
    return {
        "name": recording.name,
        "dataset": recording.dataset,
        "person": recording.person,
        "session": recording.session,
        "channels": len(recording.channels),
        "sfreq": recording.sfreq,
        "soa_s": recording.soa,
        "runs": len(recording.runs),
        "n": len(epochs.y),
        "n_targets": int(epochs.y.sum()),
        "n_rejected": epochs.n_rejected,
        "repairs": list(recording.repairs),
    }


def _method(epochs: Epoched, method: str, seed: int) -> dict[str, Any]:
    """Measure a method in both splits, and take its times."""
    measured: dict[str, Any] = {"fit_s": None, "score_ms": None}
    for split, folds in epochs.folds().items():
        try:
            scored = score_folds(
                epochs.X, epochs.y, epochs.onsets, epochs.runs, folds,
                method=method, random_state=seed, layout=epochs.layout,
            )  # fmt: skip
            measured[split] = scored.summary()
        except BrainloopError as error:
            measured[split] = {"error": str(error)}
            continue
        if split == "blocks":
            measured |= {"fit_s": scored.fit_s, "score_ms": scored.score_ms}
    return measured


def _permuted(epochs: Epoched, method: str, seed: int) -> dict[str, Any]:
    """Measure a method on permuted labels; of the blocks, each permutation tests one, in turn."""
    folds = epochs.folds()
    measured: dict[str, Any] = {"method": method}
    for split in SPLIT_NAMES:
        found, errors = [], []
        for k in range(N_PERMUTATIONS):
            y = np.random.default_rng(seed + k).permutation(epochs.y)
            number = k % len(folds[split])
            try:
                scored = score_folds(
                    epochs.X, y, epochs.onsets, epochs.runs, folds[split][number : number + 1],
                    method=method, random_state=seed + k, layout=epochs.layout,
                )  # fmt: skip
                auc = auc_interval(scored.is_target, scored.score, n_resamples=1).value
                found.append((auc, ece(scored.probability, scored.is_target)))
            except BrainloopError as error:
                errors.append(str(error))
        if len(found) < 2:
            measured[split] = {"error": errors[0]}
            continue
        auc, error_of_calibration = np.mean(found, axis=0)
        half = 1.96 * np.std([one for one, _ in found], ddof=1) / np.sqrt(len(found))
        measured[split] = {
            "auc": auc,
            "ci": [auc - half, auc + half],
            "ece": error_of_calibration,
            "permutations": len(found),
        }
    return measured


def _in_turn(jobs: Sequence[Job], progress: Progress) -> list[dict[str, Any]]:
    results = []
    for number, (work, given) in enumerate(jobs):
        progress(number, len(jobs))
        results.append(work(*given))
    progress(len(jobs), len(jobs))
    return results


def _at_once(jobs: Sequence[Job], workers: int | None, progress: Progress) -> list[dict[str, Any]]:
    workers = min(default_workers() if workers is None else workers, len(jobs))
    if workers <= 1:
        return _in_turn(jobs, progress)
    context = get_context("spawn")  # a fork would copy torch's threads half-alive
    processes = ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread)
    try:
        waiting = {processes.submit(work, *given): number for number, (work, given) in enumerate(jobs)}
        results: list[dict[str, Any]] = [{}] * len(jobs)
        for done, future in enumerate(as_completed(waiting), start=1):
            results[waiting[future]] = future.result()
            progress(done, len(jobs))
        return results
    finally:
        processes.shutdown(cancel_futures=True)


def _one_thread() -> None:
    """Give each core its process: threads that wait for a core spin, and networks take ten times as long."""
    import torch

    torch.set_num_threads(1)
    threadpool_limits(1)


def _rounded(tree: Any) -> Any:
    """Give strict JSON's values, floats with five decimals."""
    if isinstance(tree, dict):
        return {key: _rounded(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_rounded(value) for value in tree]
    return plain(float(tree)) if isinstance(tree, float | np.floating) else tree
