"""The replay: real responses of real people, one epoch a presentation of the same class."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from brainloop._types import BoolArray, FloatArray, Progress, no_progress
from brainloop.decoder.decoder import Decoder
from brainloop.decoder.split import first_share
from brainloop.eeg.epochs import epoch_recording
from brainloop.eeg.erp import ERP, erp
from brainloop.eeg.recordings import Recording
from brainloop.eeg.signal import Signal
from brainloop.errors import DecoderError, RecordingError
from brainloop.evidence import Method
from brainloop.presentation.block import Block, Response

__all__ = ["Replay"]

TRAINING_SHARE = 0.4
"""Share of a recording, in time, that trains and calibrates the decoder; the rest answers."""


class Replay:
    """Recordings that answer presentations.

    Of each recording the first 40 % in time, purged by an epoch's length, train and calibrate the decoder; each epoch
    of the rest answers a presentation of its class. Epochs are drawn without replacement; when a class is spent it is
    drawn again, yet no epoch ever answers the same image twice.

    Parameters
    ----------
    recordings : sequence of Recording
        Each with its own decoder; their epochs answer together.
    truth : array of bool, shape (n_images,)
        Whether each image of the pool is a target.
    hardness : array, shape (n_images,), optional
        Rank in (0, 1) of each image within its class, near 1 for the hardest; needed for a difficulty above 0.
    difficulty : float
        Correlation, 0 to 1, between how hard an image is and how weak the epoch that answers it.
    decoder, calibration : str
        See `Decoder`.
    seed : int
        Of the draws.
    progress : Progress
        Called with (recordings decoded, recordings).

    Attributes
    ----------
    soa : float
        The recordings' own, s: their responses were evoked at that rate.
    facts : dict
        Recordings, trials, and the decoder's AUC on the epochs that answer.

    Raises
    ------
    RecordingError, DecoderError
        If a recording cannot train a decoder, or no epoch of a class is left to answer.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        truth: BoolArray,
        *,
        hardness: FloatArray | None = None,
        difficulty: float = 0.0,
        decoder: str = "xdawn_ts",
        calibration: Method = "platt",
        seed: int = 0,
        progress: Progress = no_progress,
    ) -> None:
        self._truth = truth
        self._hardness = np.full(truth.size, 0.5) if hardness is None else hardness
        self._difficulty = difficulty if hardness is not None else 0.0
        self._rng = np.random.default_rng([seed, 1])
        self._erps: dict[str, ERP] = {}
        cards: list[_Card] = []
        facts = []
        for number, recording in enumerate(recordings):
            progress(number, len(recordings))
            found, about, mean_responses = _decode(recording, decoder, calibration)
            cards += found
            facts.append(about)
            self._erps[recording.name] = mean_responses
        progress(len(recordings), len(recordings))
        self.soa = round(float(np.median([recording.soa for recording in recordings])), 4)
        self.facts: dict[str, Any] = {
            "observer": "replay",
            "difficulty": self._difficulty,
            "recordings": facts,
        }
        self._decks = {kind: _Deck([card for card in cards if card.is_target == kind]) for kind in (True, False)}
        for kind, deck in self._decks.items():
            if not deck.cards:
                what = "target" if kind else "non-target"
                raise RecordingError(
                    f"no {what} epoch is left after the first {TRAINING_SHARE:.0%} of the recordings; add more"
                )

    def respond(self, block: Block, start: int = 0) -> Iterator[Response]:
        """Answer a block; see `Observer.respond`."""
        drawn = [self._draw(image) for image in block.images]
        for card, onset in list(zip(drawn, block.onsets, strict=True))[start:]:
            yield replace(card.response, onset=float(onset))

    def recall(self, blocks: Sequence[Block]) -> None:
        """Draw again what earlier blocks drew, so that the decks stand as they stood."""
        for block in blocks:
            for image in block.images:
                self._draw(image)

    def erps(self) -> dict[str, ERP]:
        """Mean responses of each recording, over all its usable epochs."""
        return self._erps

    def _draw(self, image: int) -> "_Card":
        # A Gaussian copula: with difficulty 1 the hardest image draws the weakest epoch that is left, with 0 any.
        noise = self._rng.normal()
        ease = float(ndtri(1 - self._hardness[image]))
        quantile = float(ndtr(self._difficulty * ease + np.sqrt(1 - self._difficulty**2) * noise))
        return self._decks[bool(self._truth[image])].draw(image, quantile)


@dataclass(frozen=True)
class _Card:
    """An epoch's response, kept with the class that evoked it."""

    is_target: bool
    response: Response


class _Deck:
    """The epochs of one class, weakest first, and which of them answered whom."""

    def __init__(self, cards: list[_Card]) -> None:
        sign = 1 if cards and cards[0].is_target else -1
        self.cards = sorted(cards, key=lambda card: sign * card.response.evidence)
        self._left = np.ones(len(cards), dtype=bool)
        self._answered: dict[int, list[int]] = {}

    def draw(self, image: int, quantile: float) -> _Card:
        """Draw the epoch at a quantile of the strengths that are left, and that this image has not drawn yet."""
        before = self._answered.setdefault(image, [])
        if len(before) == len(self.cards):
            raise RecordingError(
                f"image {image} was shown more often than there are epochs of its class ({len(before)}); add recordings"
            )
        if not self._left.any():
            self._left[:] = True
        fresh = self._left.copy()
        fresh[before] = False
        if not fresh.any():  # the few epochs left have all answered this image: one that is spent comes early
            fresh[:] = True
            fresh[before] = False
        candidates = np.flatnonzero(fresh)
        chosen = int(candidates[min(int(quantile * candidates.size), candidates.size - 1)])
        self._left[chosen] = False
        before.append(chosen)
        return self.cards[chosen]


def _decode(recording: Recording, pipeline: str, calibration: Method) -> tuple[list[_Card], dict[str, Any], ERP]:
    from sklearn.metrics import roc_auc_score

    signal = Signal()
    trials = epoch_recording(recording, signal)
    first, rest = first_share(trials.onsets, trials.runs, share=TRAINING_SHARE, purge=signal.duration)
    usable = trials.usable
    train = first[usable[first]]
    decoder = Decoder(pipeline, calibration, epoch=signal.duration)
    try:
        decoder.fit(trials.data[train], trials.is_target[train], onsets=trials.onsets[train], runs=trials.runs[train])
    except DecoderError as error:
        raise DecoderError(f"{recording.name}, its first {TRAINING_SHARE:.0%}: {error}") from error
    answering = rest[usable[rest]]
    scores = np.full(len(usable), np.nan)
    scores[answering] = decoder.score(trials.data[answering])
    evidence = np.zeros(len(usable))
    evidence[answering] = decoder.evidence(scores[answering])
    cards = [
        _Card(
            bool(trials.is_target[trial]),
            Response(
                score=float(scores[trial]), evidence=float(evidence[trial]),
                rejected=None if usable[trial] else str(trials.rejected[trial]),
                onset=0.0, source=f"{recording.name}#{trial}", person=recording.person, session=recording.session,
            ),
        )
        for trial in rest
    ]  # fmt: skip
    truth = trials.is_target[answering]
    both = bool(truth.any() and not truth.all())
    earlier = [run.onsets[-1] - run.onsets[0] for run in recording.runs[: trials.runs[first].max()]]
    here = trials.onsets[first[trials.runs[first] == trials.runs[first].max()]]
    about = {
        "name": recording.name, "person": recording.person, "channels": list(recording.channels),
        "sfreq": recording.sfreq, "soa": recording.soa, "training_trials": int(train.size),
        "calibration_s": float(sum(earlier) + np.ptp(here)), "answering_trials": int(rest.size),
        "rejected_share": float(1 - usable.mean()), "auc_calibration": decoder.auc_,
        "auc_calibration_low": decoder.auc_low_,
        "auc": float(roc_auc_score(truth, scores[answering])) if both else None,
    }  # fmt: skip
    mean = erp(trials.data[usable], trials.is_target[usable], trials.times, trials.channels)
    return cards, about, mean
