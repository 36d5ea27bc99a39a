"""How fast the decoder is: training, one epoch to evidence, and many networks against one."""

from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from brainloop._types import BoolArray, FloatArray
from brainloop.decoder.decoder import BrainDecoder

__all__ = ["FITS", "speed"]

FITS = ((1200, 8), (1000, 64))
"""Trials and channels that are fitted, of 57 samples each."""

N_TIMES = 57
PREVALENCE = 0.15
N_NETWORKS = 10
N_EPOCHS = 3
"""Passes over the trials for the comparison of many networks with one."""


def speed(method: str = "ensemble", *, seed: int = 1000, fits: tuple[tuple[int, int], ...] = FITS) -> dict[str, Any]:
    """Time the decoder on made-up epochs: arithmetic takes as long on them as on a person's.

    Parameters
    ----------
    method : str
        Name in `brainloop.decoder.members.METHODS`.
    seed : int
        Of the epochs and the networks.
    fits : tuple of (n_trials, n_channels)
        What is fitted; the last decoder scores single epochs.

    Returns
    -------
    dict
        `fit_s`: seconds with calibration by "trials x channels"; `epoch_ms`: `p50` and `p99` of one epoch to evidence
        on one thread, with its number of `channels`; `networks`: seconds of `one` and of ten (`many`) networks in the
        same loop, medians of three, and their `ratio`.
    """
    rng = np.random.default_rng(seed)
    fit_s = {}
    for n_trials, n_channels in fits:
        X, y = _epochs(rng, n_trials, n_channels)
        begun = perf_counter()
        decoder = BrainDecoder(method, random_state=seed).fit(X, y)
        fit_s[f"{n_trials} x {n_channels}"] = perf_counter() - begun
    taken = []
    with threadpool_limits(1):
        for epoch in X[:520]:
            begun = perf_counter()
            decoder.evidence(epoch[None])
            taken.append(perf_counter() - begun)
    p50, p99 = np.quantile(taken[20:], [0.5, 0.99]) * 1e3
    X, y = _epochs(rng, *fits[0])
    one, many = _loop(X, y, 1, seed), _loop(X, y, N_NETWORKS, seed)
    return {
        "fit_s": fit_s,
        "epoch_ms": {"channels": fits[-1][1], "p50": float(p50), "p99": float(p99)},
        "networks": {"one": one, "many": many, "ratio": many / one},
    }


def _epochs(rng: np.random.Generator, n_trials: int, n_channels: int) -> tuple[FloatArray, BoolArray]:
    """Noise in which targets evoke a wave at 0.35 s, V."""
    y = rng.random(n_trials) < PREVALENCE
    wave = np.exp(-0.5 * ((np.arange(N_TIMES) / 62.5 - 0.35) / 0.08) ** 2)
    X = rng.standard_normal((n_trials, n_channels, N_TIMES))
    return 1e-5 * (X + y[:, None, None] * rng.random((n_channels, 1)) * wave), y


def _loop(X: FloatArray, y: BoolArray, n_networks: int, seed: int) -> float:
    """Median seconds of training so many networks on all trials."""
    from brainloop.decoder.training import Recipe, train_networks

    recipe = Recipe(n_members=n_networks, n_epochs=N_EPOCHS)
    taken = []
    for _ in range(3):
        begun = perf_counter()
        train_networks("stem", X / X.std(), y.astype(float), np.ones(len(y)), [], seed=seed, recipe=recipe)
        taken.append(perf_counter() - begun)
    return median(taken)
