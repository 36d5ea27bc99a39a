"""Several people at the same images: what their evidence comes to together, with somebody among them who does not look.

Scores are binormal, each person has their own calibration on trials that were held out, and whoever does not look gives
the scores of other images. The functions are the loop's; the last row is a whole study, with its store and classifier.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri
from sklearn.metrics import roc_auc_score

from brainloop._types import BoolArray, FloatArray, IntArray, Progress, no_progress
from brainloop.agreement import reestimate
from brainloop.demo import write_digits
from brainloop.evidence import Calibration, add_up
from brainloop.observers.simulated import Simulated
from brainloop.presentation.block import Block
from brainloop.study import Study
from brainloop.uses.heard import total_evidence
from brainloop.uses.trust import STRETCH, trust, usable_looks

__all__ = ["DECODER_AUC", "bench_people", "predicted_auc", "study_of_four"]

DECODER_AUC = 0.75
"""Of each person's decoder on single looks."""

TARGETS, CALIBRATION_TRIALS = 0.12, 400
"""Share of targets; trials that each person is calibrated on, as in a calibration of 80 s at 5 Hz."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "four": ("looks", "looks", "looks", "looks"),
    "three": ("looks", "looks", "looks"),
    "one_random": ("looks", "looks", "looks", "random"),
    "one_dozes": ("looks", "looks", "looks", "dozes"),
}
"""Who is together; `dozes` stops looking half-way."""


def predicted_auc(n_people: int, auc: float = DECODER_AUC) -> float:
    """Give the AUC of the summed evidence of independent people: their d' add up as the sides of a right angle.

    Parameters
    ----------
    n_people : int
        How many.
    auc : float
        Of each alone.
    """
    return float(ndtr(np.sqrt(n_people) * ndtri(auc)))


def bench_people(
    seeds: Sequence[int] = range(1000, 1012),
    *,
    n_images: int = 2000,
    n_study_images: int = 600,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Let groups of people look at each image once, and measure the AUC of their evidence together.

    Parameters
    ----------
    seeds : sequence of int
        Of images, scores and calibrations.
    n_images : int
        That each person looks at.
    n_study_images : int
        Of the pool of the one real study; with 0 there is none.
    progress : Progress
        Called with (seeds done, seeds).

    Returns
    -------
    dict
        The mean AUC of each group by its name, re-estimated, and as ``NAME_without`` just summed; ``predicted`` and
        ``predicted_three`` by independence; ``intervals``, 95 % over the seeds; ``weights``, the mean weight of each
        person; ``dozing_weights``, of whoever dozes off, stretch by stretch; ``study``, see `study_of_four`.
    """
    values: dict[str, list[float]] = {}
    weights: dict[str, list[FloatArray]] = {}
    dozing: list[FloatArray] = []
    for done, seed in enumerate(seeds):
        progress(done, len(seeds))
        for name, group in GROUPS.items():
            truth, image, person, stretch, evidence = _looks(seed, group, n_images)
            found = reestimate(image, person, stretch, evidence)
            for key, heard in ((name, found.evidence), (f"{name}_without", evidence)):
                values.setdefault(key, []).append(float(roc_auc_score(truth, add_up(image, heard, n_images))))
            weights.setdefault(name, []).append(found.people.gain)
            if name == "one_dozes":
                dozing.append(found.stretches.gain[np.unique(stretch[person == person.max()])])
    progress(len(seeds), len(seeds))
    result: dict[str, Any] = {name: round(float(np.mean(each)), 4) for name, each in values.items()}
    result["predicted"], result["predicted_three"] = (round(predicted_auc(n), 4) for n in (4, 3))
    result["intervals"] = {name: _interval(each) for name, each in values.items()}
    result["weights"] = {name: np.mean(each, axis=0).round(3).tolist() for name, each in weights.items()}
    result["dozing_weights"] = np.mean(dozing, axis=0).round(3).tolist()
    result |= {"seeds": len(seeds), "images": n_images}
    if n_study_images:
        with TemporaryDirectory() as folder:
            result["study"] = study_of_four(Path(folder), n_study_images)
    return result


def _looks(
    seed: int, group: Sequence[str], n_images: int
) -> tuple[BoolArray, IntArray, IntArray, IntArray, FloatArray]:
    """Simulate looks: truth (n_images,), then image, person, stretch and evidence of each look."""
    rng = np.random.default_rng(seed)
    apart = float(np.sqrt(2) * ndtri(DECODER_AUC))
    truth = rng.permutation(np.arange(n_images) < round(TARGETS * n_images))
    image, evidence = [], []
    for kind in group:
        known = rng.permutation(np.arange(CALIBRATION_TRIALS) < round(TARGETS * CALIBRATION_TRIALS))
        calibration = Calibration.fit(rng.normal(size=CALIBRATION_TRIALS) + apart * known, known)
        order = rng.permutation(n_images)
        scores = rng.normal(size=n_images) + apart * truth[order]
        away = slice({"looks": n_images, "dozes": n_images // 2, "random": 0}[kind], n_images)
        scores[away] = rng.permutation(scores[away])
        image.append(order)
        evidence.append(calibration.evidence(scores))
    person = np.repeat(np.arange(len(group)), n_images)
    stretches = -(-n_images // STRETCH)
    stretch = person * stretches + np.tile(np.arange(n_images) // STRETCH, len(group))
    return truth, np.concatenate(image), person, stretch, np.concatenate(evidence)


def _interval(values: Sequence[float]) -> list[float]:
    """Give the 95 % interval of a mean over seeds."""
    half = 1.959964 * np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return [round(float(np.mean(values) + sign * half), 4) for sign in (-1, 1)]


def study_of_four(folder: Path, n_images: int = 600, *, seed: int = 0) -> dict[str, Any]:
    """Let four synthetic wearers, one of whom does not look, see every image of a real study once.

    Parameters
    ----------
    folder : Path
        For the study and its images, scikit-learn's digits; new.
    n_images : int
        Of the pool, at most.
    seed : int
        Of the study and of the wearers.

    Returns
    -------
    dict
        AUC of all evidence over the pool, re-estimated (``together``), summed (``without``) and of the three who look
        (``three``); ``weights`` and ``aucs`` by name; ``looks``, and ``seconds`` that re-estimation took.
    """
    study = Study.create(
        folder / "study", images=write_digits(folder / "digits"), target="3", prevalence=TARGETS, observer="own",
        seed=seed,
    )  # fmt: skip
    data = study.data()
    truth = (data.truth or {})["3"]
    rng = np.random.default_rng(seed)
    pool = rng.permutation(truth.size)[:n_images]
    for number, name in enumerate(("Ada", "Ben", "Cleo", "Dora")):
        seen = rng.permutation(truth) if name == "Dora" else truth
        observer = Simulated({"3": seen}, seed=seed + number)
        rows = rng.permutation(pool)
        size = study.settings.block_size
        for k in range(0, rows.size, size):
            shown = tuple(rows[k : k + size].tolist())
            block = Block(number + 1, k // size + 1, shown, observer.soa, "3")
            study.store.plan([replace(block, images=tuple(data.ids[list(shown)].tolist()))], name)
            (planned, _) = study.store.blocks_of(name)[0]
            for position, response in enumerate(observer.respond(block)):
                study.store.answer(planned.number, position, replace(response, person=name), name)
    start = perf_counter()
    together, _ = total_evidence(study, data)
    seconds = perf_counter() - start
    looks = study.store.looks()
    usable = usable_looks(looks)
    image, awake = data.index(looks.image), usable & np.array([name != "Dora" for name in looks.person])
    found = trust(study, data)

    def auc(evidence: FloatArray) -> float:
        return round(float(roc_auc_score(truth[pool], evidence[pool])), 4)

    result = {
        "together": auc(together),
        "without": auc(add_up(image[usable], looks.evidence[usable], data.ids.size)),
        "three": auc(add_up(image[awake], looks.evidence[awake], data.ids.size)),
        "weights": {one.person: round(one.weight, 3) for one in found.people},
        "aucs": {one.person: round(one.auc, 3) for one in found.people},
        "looks": int(usable.sum()),
        "seconds": round(seconds, 3),
    }
    study.store.close()
    return result
