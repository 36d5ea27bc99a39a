import queue
from threading import Thread

import numpy as np
import pytest

from brainloop.decoder.decoder import BrainDecoder
from brainloop.eeg.epochs import cut, epoch_recording
from brainloop.eeg.headset import Chunk, HeadsetInfo
from brainloop.eeg.layout import Layout
from brainloop.eeg.lsl import local_clock
from brainloop.eeg.preparation import Preparation
from brainloop.eeg.signal import Signal
from brainloop.eeg.synthetic import SyntheticWearer
from brainloop.errors import DecoderError, RecordingError, StoppedError, StudyError
from brainloop.observers.eeg_sense import EegSense
from brainloop.observers.keys import KeySense, ReactionModel
from brainloop.observers.live import Live
from brainloop.presentation.block import Block
from brainloop.presentation.screen import Happened, Shown

WEARER = SyntheticWearer(5)
INFO = HeadsetInfo("lsl:test", "test", ("Photo", *WEARER.channels), (), WEARER.sfreq)
SOA, N = 0.2, 30
KEYS = ReactionModel(mean=0.45, sd=0.1, hit_rate=0.9, false_rate=0.05, targets=100, others=700)


@pytest.fixture(scope="module")
def decoder():
    session = WEARER.calibration(300)
    trials = epoch_recording(session, Signal())
    layout = Layout.of(session.channels, session.sfreq, Signal())
    return BrainDecoder("lda").fit(trials.data, trials.is_target, onsets=trials.onsets, runs=trials.runs, layout=layout)


@pytest.fixture
def run():
    is_target = np.arange(N) % 8 == 3
    return WEARER.wear(100.0 + np.arange(N) * SOA, is_target, block=3)


class Script:
    """A screen that reports the presentations of a run, some of them flawed, and presses; then it is over."""

    def __init__(self, onsets, *, flaws=None, presses=(), stop_at=None):
        self.onsets, self.flaws, self.presses, self.stop_at = onsets, flaws or {}, tuple(presses), stop_at
        self.started = []

    def show(self, block, start=0):
        self.started.append((block.number, start))
        self.position = start
        return self

    def poll(self, timeout):
        if self.position == self.stop_at:
            raise StoppedError("enough")
        if self.position >= len(self.onsets):
            return Happened(until=np.inf, over=True)
        onset, position = self.onsets[self.position], self.position
        self.position += 1
        shown = Shown(position, onset, onset, onset + 1 / 60, self.flaws.get(position))
        presses, self.presses = self.presses, ()
        return Happened((shown,), presses, onset, self.position == len(self.onsets))


def stream(run, rng, *, lose=None):
    """The run as chunks of random sizes, with a channel more than the decoder knows, float32 as from a recorder."""
    chunks = queue.SimpleQueue()
    data = np.concatenate([np.zeros((1, run.data.shape[1])), run.data]).astype(np.float32)
    times, place = run.times, 0

    def play():
        nonlocal place
        while place < len(times):
            end = place + int(rng.integers(1, 40))
            if lose is None or not lose[0] <= place < lose[1]:
                chunks.put(Chunk(times[place:end], data[:, place:end], local_clock()))
            place = end

    return chunks, Thread(target=play)


def sense(run, decoder, **how):
    chunks, player = stream(run, np.random.default_rng(0), **how)
    eeg = EegSense(chunks, INFO, Preparation.identity(WEARER.channels), decoder)
    return eeg, player


def respond(screen, player, start=0, **senses):
    live = Live(screen, person="ada", session="1", **senses)
    responses = live.respond(Block(1, 9, tuple(range(N)), SOA), start)
    player.start()
    return live, list(responses)


def test_live_evidence_is_to_the_bit_that_of_the_recording_decoded_one_by_one(decoder, run):
    eeg, player = sense(run, decoder)
    live, responses = respond(Script(run.onsets), player, eeg=eeg)
    eeg.close()
    epochs = cut(run.times, run.data.astype(np.float32).astype(float), run.onsets, WEARER.sfreq, Signal())
    assert epochs.usable.all()
    assert [r.evidence for r in responses] == [float(decoder.evidence(epoch[None])[0]) for epoch in epochs.data]
    assert [r.onset for r in responses] == pytest.approx(np.arange(N) * SOA)
    assert responses[3].source == "ada/1#9.3"
    assert set(live.waited) == set(range(N))


def test_flawed_presentations_are_rejected_with_their_reason_and_say_nothing(decoder, run):
    eeg, player = sense(run, decoder)
    _, responses = respond(Script(run.onsets, flaws={4: "late", 9: "missed"}), player, eeg=eeg)
    eeg.close()
    assert {k: r.rejected for k, r in enumerate(responses) if r.rejected} == {4: "late", 9: "missed"}
    assert responses[4].evidence == 0.0


def test_epochs_over_a_gap_of_the_stream_are_rejected_and_no_others(decoder, run):
    lost = (1500, 1600)
    eeg, player = sense(run, decoder, lose=lost)
    _, responses = respond(Script(run.onsets), player, eeg=eeg)
    eeg.close()
    begin, end = run.times[lost[0] - 40], run.times[lost[1] + 40]
    for onset, response in zip(run.onsets, responses, strict=True):
        if onset + 0.9 < begin or onset > end + 1.0:
            assert response.rejected is None
        if begin + 0.2 < onset + 0.5 < end - 0.2:
            assert response.rejected is not None


def test_a_block_that_was_interrupted_goes_on_where_it_was(decoder, run):
    eeg, player = sense(run, decoder)
    screen = Script(run.onsets)
    _, responses = respond(screen, player, start=12, eeg=eeg)
    eeg.close()
    assert screen.started == [(9, 12)]
    assert len(responses) == N - 12
    assert responses[0].source == "ada/1#9.12"


def test_the_key_alone_answers_as_its_model_does_on_the_whole_block(run):
    presses = run.onsets[[3, 11, 19]] + 0.45
    _, responses = respond(Script(run.onsets, presses=presses), Thread(), keys=KeySense(KEYS))
    expected = KEYS.evidence(run.onsets, presses)
    assert [r.evidence for r in responses] == expected.tolist()
    assert [r.score for r in responses] == expected.tolist()


def test_with_headset_and_key_the_evidence_adds_and_the_key_stays_where_an_epoch_is_lost(decoder, run):
    presses = run.onsets[[3, 11, 19]] + 0.45
    answers = []
    for senses in ({}, {"keys": KeySense(KEYS)}):
        eeg, player = sense(run, decoder, lose=(1500, 1600))
        answers.append(respond(Script(run.onsets, presses=presses), player, eeg=eeg, **senses)[1])
        eeg.close()
    lost = [response.rejected is not None for response in answers[0]]
    assert 0 < sum(lost) < 15
    for brain, both, key in zip(*answers, KEYS.evidence(run.onsets, presses), strict=True):
        assert both.rejected is None
        assert both.evidence == brain.evidence + key


def test_who_stops_keeps_what_was_answered(run):
    live = Live(Script(run.onsets, stop_at=20), keys=KeySense(KEYS), person="ada", session="1")
    responses = live.respond(Block(1, 9, tuple(range(N)), SOA))
    kept = [next(responses) for _ in range(13)]  # those whose window of presses is over
    with pytest.raises(StoppedError):
        next(responses)
    assert all(response.rejected is None for response in kept)


def test_nobody_who_answers_with_nothing_is_an_observer():
    with pytest.raises(StudyError, match="a headset, a key or both"):
        Live(Script([]), person="ada", session="1")


def test_a_headset_without_the_channels_of_training_is_refused_by_name(decoder):
    less = HeadsetInfo("lsl:test", "test", WEARER.channels[:-1], (), WEARER.sfreq)
    with pytest.raises(RecordingError, match="PO8"):
        EegSense(queue.SimpleQueue(), less, Preparation.identity(WEARER.channels), decoder)
    faster = HeadsetInfo("lsl:test", "test", WEARER.channels, (), 300.0)
    with pytest.raises(DecoderError, match="sampling rate"):
        EegSense(queue.SimpleQueue(), faster, Preparation.identity(WEARER.channels), decoder)
