"""Trials of a synthetic person, and decoders that were trained on the first of them."""

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest

from brainloop.decoder.decoder import BrainDecoder
from brainloop.eeg.epochs import epoch_recording
from brainloop.eeg.layout import Layout
from brainloop.eeg.signal import Signal
from brainloop.eeg.synthetic import SyntheticWearer


class Session(NamedTuple):
    """Usable trials (n, n_channels, n_times) in V, and what is known of each; 15 % are targets."""

    X: np.ndarray
    y: np.ndarray
    onsets: np.ndarray
    runs: np.ndarray
    layout: Layout

    def __getitem__(self, part):
        return Session(self.X[part], self.y[part], self.onsets[part], self.runs[part], self.layout)

    def fit(self, decoder, **more):
        return decoder.fit(self.X, self.y, onsets=self.onsets, runs=self.runs, layout=self.layout, **more)


@pytest.fixture(scope="session")
def session():
    recording = SyntheticWearer(5).calibration(600)
    trials = epoch_recording(recording, Signal())
    ok = trials.usable
    layout = Layout.of(recording.channels, recording.sfreq, Signal())
    return Session(trials.data[ok], trials.is_target[ok], trials.onsets[ok], trials.runs[ok], layout)


@pytest.fixture(scope="session")
def first(session):
    """The trials that train."""
    return session[:400]


@pytest.fixture(scope="session")
def rest(session):
    """The trials that no decoder here was trained on."""
    return session[400:]


@pytest.fixture(scope="session")
def trained(first):
    """A decoder of each method, trained once."""
    return cache(lambda method: first.fit(BrainDecoder(method)))


@pytest.fixture(scope="session")
def scaled(first):
    """What members are trained on: epochs of unit variance, float labels, and weights."""
    return first.X / np.sqrt((first.X**2).mean()), first.y.astype(float), np.ones(len(first.y))
