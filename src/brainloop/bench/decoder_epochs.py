"""What the decoder's bench decodes: the usable epochs of a recording, and how they are split."""

from dataclasses import dataclass

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.decoder.members import Fold
from brainloop.decoder.split import FIRST_SHARE, first_share, in_blocks
from brainloop.eeg.epochs import epoch_recording
from brainloop.eeg.layout import Layout
from brainloop.eeg.recordings import Recording
from brainloop.eeg.signal import Signal

__all__ = ["FIRST_SHARE", "PURGE", "Epoched"]

PURGE = Signal().duration
"""Trials whose onsets are nearer than this to a tested one do not train, s."""


@dataclass(frozen=True, eq=False)
class Epoched:
    """The usable epochs of a recording.

    Attributes
    ----------
    X : array of shape (n, n_channels, n_times)
        V.
    y : bool array of shape (n,)
        Whether each showed a target.
    onsets : array of shape (n,)
        Within the run, s.
    runs : int array of shape (n,)
        Index of the run.
    layout : Layout
        Of the epochs.
    n_rejected : int
        Presentations that are left out.
    """

    X: FloatArray
    y: BoolArray
    onsets: FloatArray
    runs: IntArray
    layout: Layout
    n_rejected: int

    @classmethod
    def of(cls, recording: Recording, signal: Signal) -> "Epoched":
        """Cut a recording."""
        trials = epoch_recording(recording, signal)
        usable = trials.usable
        return cls(
            X=trials.data[usable],
            y=trials.is_target[usable],
            onsets=trials.onsets[usable],
            runs=trials.runs[usable],
            layout=Layout.of(recording.channels, recording.sfreq, signal),
            n_rejected=int((~usable).sum()),
        )

    def folds(self) -> dict[str, list[Fold]]:
        """Give the two splits: five blocks in time, and the first 40 % against the rest."""
        return {
            "blocks": in_blocks(self.onsets, self.runs, purge=PURGE),
            "time": [first_share(self.onsets, self.runs, purge=PURGE)],
        }

    def after(self, n: int) -> Fold:
        """Give the first `n` trials in time, less those that overlap a later one, and the rest."""
        # Half a trial more, as the share is rounded down.
        return first_share(self.onsets, self.runs, share=(n + 0.5) / len(self.y), purge=PURGE)
