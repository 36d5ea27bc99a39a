"""A decoder for a new person, from other people's recordings and as many of the person's own trials as there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from brainloop._types import BoolArray, FloatArray, IntArray, Progress, no_progress
from brainloop.decoder.alignment import Alignment, whitener
from brainloop.decoder.decoder import MIN_TARGETS, N_BLOCKS, PURGED, BrainDecoder, in_time
from brainloop.decoder.members import Fold
from brainloop.decoder.split import in_blocks
from brainloop.eeg.layout import Layout
from brainloop.errors import DecoderError
from brainloop.evidence import Method

__all__ = ["OWN_WEIGHT", "Person", "transfer"]

OWN_WEIGHT = 25.0
"""What one trial of the person counts in trials of others. On the design split of the g.tec people (the last 240 trials
calibrate, the first 954 test), 4 / 10 / 25 give AUC .833 / .854 / .863 with 50 own trials and .879 / .894 / .901 with
200; own trials alone .761 and .893."""


@dataclass(frozen=True, eq=False)
class Person:
    """Labelled trials of one person, or of one session, which then is aligned by itself.

    Attributes
    ----------
    X : array of shape (n, n_channels, n_times)
        Usable epochs in the order they were recorded, V; the same channels and times for everybody.
    y : bool array of shape (n,)
        Whether a target was shown.
    onsets : array of shape (n,), optional
        Within the run, s.
    runs : int array of shape (n,), optional
        Index of the run.
    """

    X: FloatArray
    y: BoolArray
    onsets: FloatArray | None = None
    runs: IntArray | None = None


def transfer(
    others: Sequence[Person],
    own: Person | None = None,
    unlabelled: FloatArray | None = None,
    *,
    method: str = "ensemble",
    calibration: Method = "platt",
    random_state: int = 0,
    alignment: Alignment = "riemannian",
    layout: Layout | None = None,
    progress: Progress = no_progress,
) -> BrainDecoder:
    """Train a decoder for a person of whom there are few trials or none.

    Everybody's epochs are aligned without labels; then all members are trained on all people's trials at once, in which
    the person's own count for more. With 20 own targets or more the calibration is learned on the person's own
    out-of-fold scores. With fewer it is learned on the others, each scored by decoders trained on the rest of them: the
    evidence is then that of a decoder for strangers, and rather too weak than too strong.

    Parameters
    ----------
    others : sequence of Person
        One or more, with 20 targets or more between them.
    own : Person, optional
        The new person's labelled trials: any number.
    unlabelled : array of shape (n, n_channels, n_times), optional
        Epochs of the new person that align; those of `own` where left out.
    method, calibration, random_state
        See `BrainDecoder`.
    alignment : {"euclidean", "riemannian"}
        See `brainloop.decoder.alignment.whitener`.
    layout : Layout, optional
        Of everybody's epochs; see `BrainDecoder.fit`.
    progress : Progress
        Called with (members trained, members).

    Returns
    -------
    BrainDecoder
        For the new person; it aligns their epochs itself.

    Raises
    ------
    DecoderError
        If there are no others, nothing to align by, too few targets, or epochs of different shapes.
    SettingsError
        If the method, the calibration or the alignment is unknown.
    """
    mine = [own] if own is not None and len(own.X) else []
    if unlabelled is None:
        unlabelled = mine[0].X if mine else np.zeros((0, 0, 0))
    people = [*others, *mine]
    _check_people(others, people, unlabelled)
    align = whitener(unlabelled, alignment)
    aligned = [whitener(person.X, alignment) @ person.X for person in others] + [align @ person.X for person in mine]
    y = np.concatenate([np.asarray(person.y, dtype=float) for person in people])
    weight = np.ones(len(y))
    weight[sum(len(person.X) for person in others) :] = OWN_WEIGHT
    decoder = BrainDecoder(method, calibration, random_state)
    return decoder.fit_folds(
        np.concatenate(aligned), y, weight, _folds(others, mine), layout=layout, alignment=align, progress=progress
    )


def _folds(others: Sequence[Person], mine: Sequence[Person]) -> list[Fold]:
    """Give what calibrates: the person's own blocks in time, else person by person, else blocks of the only one."""
    starts = np.cumsum([0, *(len(person.X) for person in others)])
    places = np.arange(starts[-1])
    if mine and mine[0].y.sum() >= MIN_TARGETS:
        return [(np.concatenate([places, starts[-1] + train]), starts[-1] + test) for train, test in _blocks(mine[0])]
    after = starts[-1] + np.arange(len(mine[0].X) if mine else 0)
    if len(others) == 1:
        return [(np.concatenate([train, after]), test) for train, test in _blocks(others[0])]
    return [
        (np.concatenate([np.delete(places, np.arange(start, stop)), after]), np.arange(start, stop))
        for start, stop in pairwise(starts)
    ]


def _blocks(person: Person) -> list[Fold]:
    """Five blocks in time; trials of unknown onset are taken to have come at the fastest rate."""
    onsets, runs = in_time(len(person.X), person.onsets, person.runs)
    return in_blocks(onsets, runs, n_blocks=N_BLOCKS, purge=PURGED)


def _check_people(others: Sequence[Person], people: Sequence[Person], unlabelled: FloatArray) -> None:
    if not others:
        raise DecoderError("expected recordings of other people to train on, got none: use BrainDecoder for one person")
    if not len(unlabelled):
        raise DecoderError(
            "expected epochs of the new person to align by, with labels or without, got none: record a minute or two"
        )
    for number, person in enumerate(people):
        if not np.isfinite(person.X).all():
            raise DecoderError(f"expected finite epochs, got NaN or infinity in those of person {number}: reject them")
    shapes = {np.shape(X)[1:] for X in [*(person.X for person in people), unlabelled]}
    if len(shapes) > 1 or any(len(shape) != 2 for shape in shapes):
        raise DecoderError(
            "expected epochs (n, n_channels, n_times) of the same channels and times for everybody, got "
            f"{' and '.join(f'{shape}' for shape in sorted(shapes))}: keep the channels that all have, in one order "
            "(Recording.pick), and cut with one signal"
        )
