"""A new person: a decoder trained on the data set's other people, and on more and more of the new person's trials."""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from brainloop.bench.decoder_epochs import Epoched
from brainloop.decoder.evaluation import score_trials
from brainloop.decoder.protocol import join
from brainloop.decoder.transfer import Person, transfer
from brainloop.eeg.recordings import Recording
from brainloop.eeg.signal import Signal
from brainloop.errors import BrainloopError, DecoderError

__all__ = ["OWN_TRIALS", "TESTED_AFTER", "collect", "newcomers", "welcome"]

OWN_TRIALS = (0, 25, 50, 100, 200, 400)
"""Of the new person's first trials, how many train."""

TESTED_AFTER = 240
"""What comes after so many of the new person's trials is tested, or after those that train where they are more."""

Newcomer = tuple[str, str, Epoched, tuple[Epoched, ...]]
"""Data set, new person, their epochs and those of each other person."""


def newcomers(recordings: Sequence[Recording]) -> tuple[list[Newcomer], dict[str, str]]:
    """Let every person of a data set of several be new in turn.

    Parameters
    ----------
    recordings : sequence of Recording
        All; a person's sessions belong together, and people are brought to the channels that all have.

    Returns
    -------
    list of Newcomer
        In the order of the recordings.
    dict of str
        Why there are none, by data set.
    """
    found: list[Newcomer] = []
    refused = {}
    for dataset in dict.fromkeys(one.dataset for one in recordings):
        here = [one for one in recordings if one.dataset == dataset]
        people = list(dict.fromkeys(one.person for one in here))
        if len(people) < 2:
            refused[dataset] = "one person"
            continue
        try:
            channels = join(here).channels
            epochs = {
                person: Epoched.of(join([one.pick(channels) for one in here if one.person == person]), Signal())
                for person in people
            }
        except BrainloopError as error:
            refused[dataset] = str(error)
            continue
        found += [
            (dataset, person, epochs[person], tuple(epochs[other] for other in people if other != person))
            for person in people
        ]
    return found, refused


def welcome(newcomer: Newcomer, n_own: int, method: str, seed: int) -> dict[str, Any]:
    """Decode a new person.

    Parameters
    ----------
    newcomer : Newcomer
        Who, and the others.
    n_own : int
        How many of the person's first trials train, less those that overlap a tested one.
    method : str
        Name in `brainloop.decoder.members.METHODS`.
    seed : int
        Of the networks.

    Returns
    -------
    dict
        `dataset`, `person`, `n_own`, and what `Scored.summary` measures on the later trials; or `error` in its place.
    """
    dataset, person, own, others = newcomer
    about = {"dataset": dataset, "person": person, "n_own": n_own}
    first = max(TESTED_AFTER, n_own)
    try:
        if len(own.y) <= first:
            raise DecoderError(f"expected more than {first} usable trials of a new person, got {len(own.y)}")
        before, rest = own.after(first)
        train = before[:n_own]
        begun = perf_counter()
        decoder = transfer(
            [Person(other.X, other.y, other.onsets, other.runs) for other in others],
            Person(own.X[train], own.y[train], own.onsets[train], own.runs[train]) if n_own else None,
            own.X[before[:TESTED_AFTER]],
            method=method,
            random_state=seed,
            layout=own.layout,
        )
        scored = score_trials(decoder, own.X, own.y, rest, fit_s=perf_counter() - begun, layout=own.layout)
        return {**about, "n_own_targets": int(own.y[train].sum()), **scored.summary(), "fit_s": scored.fit_s}
    except BrainloopError as error:
        return {**about, "error": str(error)}


def collect(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Gather what `welcome` gives by number of own trials: the mean AUC and ECE over people, and each."""
    gathered = {}
    for n_own in OWN_TRIALS:
        people = [dict(one) for one in results if one["n_own"] == n_own]
        made = [one for one in people if "error" not in one]
        means = {what: float(np.mean([one[what] for one in made])) if made else None for what in ("auc", "ece")}
        gathered[str(n_own)] = {**means, "people": people}
    return gathered
