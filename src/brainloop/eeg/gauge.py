"""One index of the EEG over the last seconds, against what is usual for this person, or why there is none."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from brainloop._types import BoolArray, FloatArray
from brainloop.eeg.band_power import FAST, SLOW, band_powers, swing
from brainloop.errors import SettingsError

__all__ = ["STEP", "Gauge", "Norm"]

Levels = FloatArray | tuple[float, ...]

STEP = 0.5
"""From one segment of a second to the next, s: half of it, as Welch's method overlaps them."""

N_SEGMENTS = 7
"""Segments in a value: they span 4 s. Shorter, and chance moves an index more than the person does; longer, and a value
says less of now, and is blank for longer after a gap."""

BASELINE = 30.0
"""Good signal that a norm is learned from, s: it leaves half of a minute's drive. Its SD is then off by a factor of 1.3
to 1.5, either way, against 1.3 to 1.4 after a minute (rms over 14 recordings, docs/methods.md)."""

MEMORY = 240
"""Segments that a norm is learned from at most, the latest: two minutes."""

WIDEST = 150e-6
"""Largest peak-to-peak value, V, in a tapered second below 45 Hz: more than the alpha of closed eyes, which reaches
about 100 uV, and less than many blinks beside the eyes. What is smaller must be found by `LOUDEST`."""

FLAT = 1e-6
"""Smallest peak-to-peak value, V: an amplifier's own noise in this band."""

LOUDEST = 8.0
"""How many times a channel's own median the power of a segment from 1 to 4 Hz (blinks, movements) or from 30 to 45 Hz
(muscles) may be."""

LEAST_SD = 0.1
"""Smallest SD of an index that is divided by, nats: over two minutes or more, 14 recordings of four people have .13 and
more, while half a minute may look steadier than a person is."""


@dataclass(frozen=True)
class Norm:
    """What is usual in one gauge's channels.

    Attributes
    ----------
    channels : tuple of str
        As the headset names them.
    centre, sd : float
        Median of the index, and 1.4826 times its median absolute deviation, nats.
    slow, fast : tuple of float
        Each channel's median power from 1 to 4 and from 30 to 45 Hz, V^2.

    Raises
    ------
    SettingsError
        If the SD is not above 0, or channels and powers are not as many.
    """

    channels: tuple[str, ...]
    centre: float
    sd: float
    slow: tuple[float, ...]
    fast: tuple[float, ...]

    def __post_init__(self) -> None:
        if not (self.sd > 0 and len(self.slow) == len(self.fast) == len(self.channels) > 0):
            raise SettingsError(f"expected an sd above 0, and two powers for each channel, got {self}")


class Gauge:
    """Follow one index, segment by segment.

    Parameters
    ----------
    channels : sequence of str
        Names of the channels that it is made of.
    index : callable
        From powers of shape (n_channels, n_bands) to the index, nats.
    norm : Norm or None
        What is usual; learned where None is given.

    Raises
    ------
    SettingsError
        If the norm is one of other channels.
    """

    def __init__(self, channels: Sequence[str], index: Callable[[FloatArray], float], norm: Norm | None) -> None:
        self.channels = tuple(channels)
        self.norm = norm
        self._index = index
        self._recent: deque[FloatArray | str] = deque(maxlen=N_SEGMENTS)
        self._seen: deque[FloatArray | str] = deque(maxlen=MEMORY)
        self._learned = 0.0
        if norm is not None and norm.channels != self.channels:
            raise SettingsError(
                f"expected a baseline of {', '.join(self.channels)}, got one of {', '.join(norm.channels)}: "
                "leave it out, and a new one is learned"
            )

    def restart(self) -> None:
        """Forget the segments before a gap; what was learned stays."""
        self._recent.clear()

    def take(self, segment: FloatArray, sfreq: float) -> None:
        """Take the next segment, shape (n_channels, n), V."""
        measured = self._measure(segment, sfreq)
        self._recent.append(measured)
        if self.norm is None:
            self._seen.append(measured)
            self._learn()

    def value(self) -> float | str:
        """Give the index in SD of the norm, or why there is none."""
        if len(self._recent) < N_SEGMENTS:
            return f"{(len(self._recent) + 1) * STEP:g} of {(N_SEGMENTS + 1) * STEP:g} s since the start or a gap"
        if self.norm is None:
            return f"{self._learned:.0f} of {BASELINE:.0f} s of baseline"
        judged = [self._judge(one, self.norm.slow, self.norm.fast) for one in self._recent]
        index = self._over(judged)
        if index is None:
            return Counter(one for one in judged if isinstance(one, str)).most_common(1)[0][0]
        return (index - self.norm.centre) / self.norm.sd

    def _measure(self, segment: FloatArray, sfreq: float) -> FloatArray | str:
        """Give a segment's powers, or what anybody would see to be wrong with it."""
        unknown = ~np.asarray(np.isfinite(segment).all(axis=1))
        if unknown.any():
            return f"no values at {self._names(unknown)}"
        swings = swing(segment, sfreq)
        if (swings < FLAT).any():
            return f"flat at {self._names(swings < FLAT)}"
        if (swings > WIDEST).any():
            return f"blink or movement at {self._names(swings > WIDEST)}"
        return band_powers(segment, sfreq)

    def _judge(self, measured: FloatArray | str, slow: Levels, fast: Levels) -> FloatArray | str:
        """Give the powers of a segment, or what is wrong with it beside what is usual."""
        if isinstance(measured, str):
            return measured
        moved = np.greater(measured[:, SLOW], LOUDEST * np.asarray(slow))
        if moved.any():
            return f"blink or movement at {self._names(moved)}"
        tense = np.greater(measured[:, FAST], LOUDEST * np.asarray(fast))
        if tense.any():
            return f"muscles at {self._names(tense)}"
        return measured

    def _over(self, judged: Iterable[FloatArray | str]) -> float | None:
        """Give the index of the mean power (Welch 1967) over good segments; None where fewer than half are."""
        good = [one for one in judged if isinstance(one, np.ndarray)]
        return self._index(np.mean(good, axis=0)) if 2 * len(good) >= N_SEGMENTS else None

    def _learn(self) -> None:
        powers = [one for one in self._seen if isinstance(one, np.ndarray)]
        self._learned = STEP * max(0, len(powers) - N_SEGMENTS + 1)
        if self._learned < BASELINE:
            return
        typical = np.median(powers, axis=0)  # no blink moves it: they are in fewer than half of the segments
        slow, fast = typical[:, SLOW], typical[:, FAST]
        judged = [self._judge(one, slow, fast) for one in self._seen]
        windows = (judged[end - N_SEGMENTS : end] for end in range(N_SEGMENTS, len(judged) + 1))
        values = [value for window in windows if (value := self._over(window)) is not None]
        self._learned = len(values) * STEP
        if self._learned < BASELINE:
            return
        centre = float(np.median(values))
        spread = 1.4826 * float(np.median(np.abs(np.array(values) - centre)))
        self.norm = Norm(self.channels, centre, max(spread, LEAST_SD), tuple(slow.tolist()), tuple(fast.tolist()))
        self._seen.clear()

    def _names(self, which: BoolArray) -> str:
        return ", ".join(name for name, it in zip(self.channels, which, strict=True) if it)
