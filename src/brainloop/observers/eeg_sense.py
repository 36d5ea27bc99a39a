"""What the brain answered, while the block is still running: samples in, one decoded answer a presentation out."""

import queue
from dataclasses import dataclass
from threading import Lock, Thread

import numpy as np

from brainloop.decoder.decoder import BrainDecoder
from brainloop.eeg.epochs import Epocher, Epochs
from brainloop.eeg.headset import Chunk, HeadsetInfo
from brainloop.eeg.layout import Layout
from brainloop.eeg.lsl import local_clock
from brainloop.eeg.preparation import Preparation
from brainloop.eeg.signal import Signal

__all__ = ["EegAnswer", "EegSense"]


@dataclass(frozen=True)
class EegAnswer:
    """What the epoch of one presentation says.

    Attributes
    ----------
    position : int
        Of the presentation in its block.
    score : float
        The decoder's; NaN where the epoch was rejected.
    evidence : float
        Nats; 0 where the epoch was rejected.
    rejected : str or None
        Why.
    waited : float
        From the arrival of the epoch's last sample to this answer, s.
    """

    position: int
    score: float
    evidence: float
    rejected: str | None
    waited: float


class EegSense:
    """Prepare, filter, cut and decode a stream in a thread of its own, so that it never waits for a screen.

    The samples pass through the same objects as those of a recording do: cut live or cut from the recording of the
    session, an epoch is the same to the last bit.

    Parameters
    ----------
    chunks : queue of Chunk
        What a `Recorder` gives to whoever subscribes.
    info : HeadsetInfo
        The headset they come from.
    preparation : Preparation
        Learned in calibration.
    decoder : BrainDecoder
        Trained in calibration.
    signal : Signal
        Band, window and limits.

    Raises
    ------
    RecordingError
        If the headset lacks channels that the preparation reads.
    DecoderError
        If its epochs are not those that the decoder was trained on.
    """

    def __init__(
        self,
        chunks: "queue.SimpleQueue[Chunk]",
        info: HeadsetInfo,
        preparation: Preparation,
        decoder: BrainDecoder,
        signal: Signal | None = None,
    ) -> None:
        signal = signal or Signal()
        self._chunks = chunks
        self._n_channels = len(info.channels)
        self._preparation = preparation.on(info.channels)
        self._decoder = decoder
        self._layout = Layout.of(preparation.outputs, info.sfreq, signal)
        self._epocher = Epocher(info.sfreq, len(preparation.outputs), signal)
        # The first call of a network takes a second: now, rather than in the first block.
        silence = np.full((1, len(preparation.outputs), self._layout.n_times), 0.0)
        silence[..., ::2] = 1e-5
        self._decoder.decision_function(silence, self._layout)
        self._lock = Lock()
        self._onsets: list[float] = []
        self._places: dict[float, int] = {}
        self._answers: list[EegAnswer] = []
        self._error: BaseException | None = None
        self._open = True
        self._thread = Thread(target=self._work, name="eeg sense", daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """Begin a block: what is still unanswered of the one before never will be."""
        with self._lock:
            self._places.clear()
            self._answers.clear()

    def shown(self, position: int, onset: float) -> None:
        """Be told of a presentation: its place in the block, and its onset on the clock of the samples, s."""
        with self._lock:
            self._onsets.append(onset)
            self._places[onset] = position

    def answers(self) -> list[EegAnswer]:
        """Give the answers that have come since the last call, each once."""
        if self._error is not None:
            raise self._error
        with self._lock:
            new, self._answers = self._answers, []
        return new

    def close(self) -> None:
        """End the thread."""
        self._open = False
        self._thread.join()

    def _work(self) -> None:
        try:
            while self._open:
                try:
                    chunk = self._chunks.get(timeout=0.1)
                except queue.Empty:
                    continue
                with self._lock:
                    onsets, self._onsets = self._onsets, []
                prepared = self._preparation(chunk.data[: self._n_channels].astype(float))
                self._answer(self._epocher.push(chunk.times, prepared, tuple(onsets)), chunk.arrived)
        except BaseException as error:  # raised where it is waited for, in `answers`
            self._error = error

    def _answer(self, epochs: Epochs, arrived: float) -> None:
        for epoch, onset, reason in zip(epochs.data, epochs.onsets.tolist(), epochs.rejected, strict=True):
            score, evidence = float("nan"), 0.0
            if reason is None:
                scores = self._decoder.decision_function(epoch[None], self._layout)
                score, evidence = float(scores[0]), float(self._decoder.calibration_.evidence(scores)[0])
            with self._lock:
                position = self._places.pop(onset, None)
                if position is not None:
                    said = None if reason is None else str(reason)
                    self._answers.append(EegAnswer(position, score, evidence, said, local_clock() - arrived))
