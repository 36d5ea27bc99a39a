"""Traces for the eye: the last samples of every channel, high-passed and thinned out."""

from typing import Any

import numpy as np

from brainloop.eeg.headset import Chunk, HeadsetInfo

__all__ = ["draw"]

SHOWN = 0.2
"""Sent at a time, s: twice what passes between two sends, so that the page can join them."""

RATE = 100.0
"""Points a second: more than a screen's width can show."""


def draw(recent: Chunk, info: HeadsetInfo) -> dict[str, Any] | None:
    """Give the newest samples of the EEG channels, without the offset of the last seconds.

    Parameters
    ----------
    recent : Chunk
        The last seconds.
    info : HeadsetInfo
        The headset.

    Returns
    -------
    dict or None
        ``t`` (time of the first point, s), ``sfreq`` (points a second), ``channels``, ``uv`` (a list each, microvolts);
        None where nothing has come.
    """
    if len(recent.times) < 2:
        return None
    eeg = np.nan_to_num(recent.data[: len(info.channels)])
    step = max(1, round(info.sfreq / RATE))
    newest = eeg[:, -max(step, round(SHOWN * info.sfreq) // step * step) :]
    # The mean of a step rather than its first sample: mains would fold back as a slow wave.
    whole = newest[:, newest.shape[1] % step :].reshape(len(eeg), -1, step).mean(axis=2)
    uv = 1e6 * (whole - np.median(eeg, axis=1, keepdims=True))
    return {
        "t": float(recent.times[-(whole.shape[1] * step)]),
        "sfreq": info.sfreq / step,
        "channels": list(info.channels),
        "uv": np.round(uv, 1).tolist(),
    }
