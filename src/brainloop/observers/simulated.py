"""The simulation: a person who does not exist, seen only through the EEG they would give off."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from brainloop._types import BoolArray, FloatArray
from brainloop.decoder.decoder import BrainDecoder
from brainloop.eeg.epochs import cut, epoch_recording
from brainloop.eeg.erp import ERP, erp
from brainloop.eeg.signal import Signal
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.evidence import Method
from brainloop.presentation.block import Block, Response

__all__ = ["Simulated"]

CALIBRATION_LOOKS = 400
"""Presentations with known answers before the first block: 80 s at 5 Hz, 60 targets."""


class Simulated:
    """A synthetic wearer whose continuous EEG is filtered, cut and decoded like anybody's.

    Parameters
    ----------
    truth : mapping of str to array of bool, shape (n_images,)
        By what may be looked for, whether each image of the pool is that.
    soa : float
        Onset to onset, s.
    hardness : mapping of str to array, shape (n_images,), optional
        By what may be looked for, the rank in (0, 1) of each image within its class, near 1 for the hardest; needed
        for a difficulty above 0.
    difficulty : float
        0 to 1: how far hard images evoke weaker responses.
    decoder, calibration : str
        See `Decoder`.
    seed : int
        Who it is.

    Attributes
    ----------
    soa : float
        As given, s.
    facts : dict
        Calibration trials and the decoder's AUC on them, held out.
    """

    def __init__(
        self,
        truth: Mapping[str, BoolArray],
        *,
        soa: float = 0.2,
        hardness: Mapping[str, FloatArray] | None = None,
        difficulty: float = 0.0,
        decoder: str = "ensemble",
        calibration: Method = "platt",
        seed: int = 0,
    ) -> None:
        self.soa = soa
        self._truth = truth
        self._hardness = {target: difficulty * rank for target, rank in (hardness or {}).items()}
        self._wearer = SyntheticWearer(seed)
        self._signal = Signal()
        session = self._wearer.calibration(CALIBRATION_LOOKS, soa=soa)
        trials = epoch_recording(session, self._signal)
        usable = trials.usable
        self._decoder = BrainDecoder(decoder, calibration).fit(
            trials.data[usable],
            trials.is_target[usable],
            onsets=trials.onsets[usable],
            runs=trials.runs[usable],
        )
        self._name = session.name
        self._erp = erp(trials.data[usable], trials.is_target[usable], trials.times, trials.channels)
        about = {
            "name": session.name, "person": session.person, "channels": list(session.channels), "sfreq": session.sfreq,
            "soa": soa, "training_trials": int(usable.sum()), "calibration_s": CALIBRATION_LOOKS * soa,
            "answering_trials": None, "rejected_share": float(1 - usable.mean()), "auc_calibration": self._decoder.auc_,
            "auc_calibration_low": self._decoder.auc_low_,
            "auc": None,
        }  # fmt: skip
        self.facts: dict[str, Any] = {
            "observer": "simulated",
            "difficulty": difficulty,
            "recordings": [about],
        }

    def respond(self, block: Block, start: int = 0) -> Iterator[Response]:
        """Render the EEG of the whole block, cut it and decode it; see `Observer.respond`."""
        shown = list(block.images)
        is_target = self._truth[block.target]
        hard = self._hardness.get(block.target, np.zeros(is_target.size))
        run = self._wearer.wear(block.onsets, is_target[shown], hard[shown], block=block.number)
        epochs = cut(run.times, run.data, run.onsets, self._wearer.sfreq, self._signal)
        usable = epochs.usable
        scores = np.full(len(usable), np.nan)
        scores[usable] = self._decoder.decision_function(epochs.data[usable])
        evidence = np.zeros(len(usable))
        evidence[usable] = self._decoder.calibration_.evidence(scores[usable])
        for position in range(start, len(shown)):
            reason = epochs.rejected[position]
            yield Response(
                score=float(scores[position]),
                evidence=float(evidence[position]),
                rejected=None if reason is None else str(reason),
                onset=float(block.onsets[position]),
                source=f"{self._name}#{block.number}.{position}",
                person=self._name,
                session="simulated",
            )

    def recall(self, blocks: Sequence[Block]) -> None:
        """Nothing to recall: a block's EEG follows from the seed and the block's number."""

    def erps(self) -> dict[str, ERP]:
        """Mean responses of the calibration."""
        return {self._name: self._erp}
