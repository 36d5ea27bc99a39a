"""What the synthetic wearer's rhythms follow over minutes: how attentive it is, and how it feels."""

from collections.abc import Callable

import numpy as np

__all__ = ["ALPHA_FALL", "BETA_RISE", "FRONTAL", "SIDE", "Mood", "wandering"]

Mood = Callable[[float], tuple[float, float]]
"""From a time, s, to attention and valence: 0 is the person as always, 1 and -1 are clearly above and below."""

ALPHA_FALL, BETA_RISE = 0.7, 0.35
"""By how much attention of 1 lowers the log power of the occipital rhythm, which so falls by a half, and raises that of
the background from 13 to 30 Hz, by four tenths. The directions are those of the engagement index (Pope et al. 1995);
the sizes are assumptions."""

FRONTAL, SIDE = 2e-6, 0.5
"""Amplitude of the frontal alpha rhythms, V, and by how much valence of 1 raises the log power of the right one and
lowers that of the left one. This is the textbook's link (Coan and Allen 2004) and not what real people reliably show:
see `brainloop.eeg.mental_state.CAVEATS`."""

PERIODS = (24.0, 40.0, 65.0)
"""Of the waves in which a wandering mood rises and falls, s: slow beside a gauge's window, several in a minute or
two."""


def wandering(seed: int) -> Mood:
    """Make a mood that rises and falls by itself, for a demonstration.

    Parameters
    ----------
    seed : int
        Which one, 0 or more.

    Returns
    -------
    Mood
        Attention and valence are sums of three sine waves each, apart in phase, between -1.5 and 1.5.
    """
    phases = np.random.default_rng([10, seed]).uniform(0, 2 * np.pi, (2, len(PERIODS)))

    def mood(time: float) -> tuple[float, float]:
        attention, valence = 0.5 * np.sin(2 * np.pi * time / np.array(PERIODS) + phases).sum(axis=1)
        return float(attention), float(valence)

    return mood
