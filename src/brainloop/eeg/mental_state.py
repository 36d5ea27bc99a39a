"""The wearer's state from running EEG: attention and, marked experimental, emotion.

Both are gauges, not measurements: `CAVEATS` says what is known of each, and is shown wherever they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from brainloop._types import FloatArray
from brainloop.eeg.band_power import asymmetry, band_powers, engagement
from brainloop.eeg.gauge import STEP, Gauge, Norm
from brainloop.eeg.positions import bare_name
from brainloop.errors import RecordingError, SettingsError

__all__ = ["CAVEATS", "Baseline", "MentalState", "StateMonitor"]

CAVEATS = {
    "attention": (
        "Attention is the engagement index, beta / (alpha + theta): it follows tasks on average, over minutes and many "
        "people. Part of beta is muscle, and a single value does not say whether this person pays attention now."
    ),
    "valence": (
        "Experimental: emotion is frontal alpha asymmetry, which takes minutes to estimate well, speaks of approach "
        "and withdrawal rather than of pleasant and unpleasant, and often fails to replicate. Do not read a feeling "
        "from it."
    ),
}
"""What each gauge cannot do, for whoever looks at it; the literature is in docs/methods.md."""

LITERATURE = ("Cz", "Pz", "P3", "P4")
"""Where Pope et al. (1995) take the engagement index."""

PAIRS = (("F3", "F4"), ("AF7", "AF8"), ("F7", "F8"), ("AF3", "AF4"), ("Fp1", "Fp2"))
"""Frontal pairs, left and right; the first that is there is taken. F3 and F4 are those of most studies."""


@dataclass(frozen=True)
class MentalState:
    """What the gauges show at one moment.

    Attributes
    ----------
    time : float
        Of the newest sample that it knows, s.
    attention : float or None
        Engagement index, in SD of the person's own baseline; None: not available.
    valence : float or None
        Frontal alpha asymmetry, in SD of the person's own baseline; None: not available.
    blank : str or None
        Why a gauge that this headset has shows nothing now: an artefact, a gap, no baseline yet. What it never has is
        in `StateMonitor.missing`.
    """

    time: float
    attention: float | None
    valence: float | None
    blank: str | None


@dataclass(frozen=True)
class Baseline:
    """One person's usual state in one headset, as it was put on; it holds while the electrodes stay where they are.

    Attributes
    ----------
    attention, valence : Norm or None
        None where it has not been learned.
    """

    attention: Norm | None
    valence: Norm | None

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Baseline":
        """Read what `to_dict` gave; SettingsError if it is none."""
        try:
            norms: dict[str, Norm | None] = {}
            for name in ("attention", "valence"):
                norm = values[name]
                norms[name] = None
                if norm is not None:
                    powers = (tuple(map(float, norm[band])) for band in ("slow", "fast"))
                    norms[name] = Norm(tuple(norm["channels"]), float(norm["centre"]), float(norm["sd"]), *powers)
            return cls(**norms)
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError(f"expected a baseline as Baseline.to_dict gives it, got {values!r}") from error


class StateMonitor:
    """Follow a person's attention and valence in a stream of EEG, as far as its channels and artefacts allow.

    A state comes every half second of stream. It is made of the last seven segments of a second, which overlap by half;
    each channel's power in each band is the mean over those without an artefact (Welch 1967). A segment has one where a
    channel that the gauge uses is not finite, flat, too wide, or too loud where blinks or muscles are; with fewer than
    half of the seven left, the gauge is blank. After a gap it stays blank until seven are there again.

    Parameters
    ----------
    channels : sequence of str
        Names of the EEG channels, without regard to case.
    sfreq : float
        Nominal sampling rate, Hz; above 90.
    baseline : Baseline, optional
        Of this person in this sitting; learned from the first 30 s of good signal where left out.

    Attributes
    ----------
    uses : dict of str to tuple of str
        The channels that each gauge is made of: attention, those of Cz, Pz, P3 and P4 that are there, else all;
        valence, the first frontal pair.
    missing : dict of str to str
        Of "attention" and "valence" the one that cannot be had, and why.

    Raises
    ------
    SettingsError
        If there are no channels, the sampling rate is too low, or the baseline is of other channels.
    """

    def __init__(self, channels: Sequence[str], sfreq: float, *, baseline: Baseline | None = None) -> None:
        if not channels:
            raise SettingsError("expected one channel or more, got none")
        self._n_channels, self._sfreq = len(channels), sfreq
        self._hop = round(STEP * sfreq)
        band_powers(np.ones((1, 2 * self._hop)), sfreq)  # which refuses rates that are too low
        given = baseline or Baseline(None, None)
        place = {bare_name(name): i for i, name in enumerate(channels)}
        known = [place[name.casefold()] for name in LITERATURE if name.casefold() in place]
        self._picks = {"attention": known or list(range(len(channels)))}
        pairs = [[place.get(name.casefold()) for name in pair] for pair in PAIRS]
        pair = next(([left, right] for left, right in pairs if left is not None and right is not None), None)
        self.missing: dict[str, str] = {}
        if pair is None:
            wanted = ", ".join(f"{left} and {right}" for left, right in PAIRS)
            self.missing["valence"] = f"needs a frontal pair of channels ({wanted}); there are {', '.join(channels)}"
        else:
            self._picks["valence"] = pair
        self.uses = {name: tuple(channels[i] for i in picks) for name, picks in self._picks.items()}
        self._gauges = {"attention": Gauge(self.uses["attention"], engagement, given.attention)}
        if pair is not None:
            self._gauges["valence"] = Gauge(self.uses["valence"], asymmetry, given.valence)
        self._newest = -np.inf
        self._times, self._data = np.zeros(0), np.zeros((self._n_channels, 0))
        self._counted = 0  # samples of `_data` that have had their state

    @property
    def baseline(self) -> Baseline | None:
        """What was given or has been learned so far; None before that."""
        norms = {name: gauge.norm for name, gauge in self._gauges.items()}
        if not any(norms.values()):
            return None
        return Baseline(norms["attention"], norms.get("valence"))

    def push(self, times: FloatArray, data: FloatArray) -> list[MentalState]:
        """Take the next samples; how a stream is cut into calls changes nothing.

        Parameters
        ----------
        times : array of shape (n_samples,)
            Timestamp of each sample, s. Samples that are not later than those before them are dropped; where two do not
            follow each other by the sampling period, to half of it, there is a gap.
        data : array of shape (n_channels, n_samples)
            V.

        Returns
        -------
        list of MentalState
            One for each half second that is complete now.

        Raises
        ------
        RecordingError
            If the shapes do not fit.
        """
        times, data = np.asarray(times, dtype=float), np.asarray(data, dtype=float)
        if times.ndim != 1 or data.shape != (self._n_channels, len(times)):
            raise RecordingError(
                f"expected n timestamps with samples of shape ({self._n_channels}, n), got {times.shape} "
                f"and {data.shape}"
            )
        known = np.where(np.isfinite(times), times, -np.inf)
        later = known > np.maximum.accumulate(np.concatenate([[self._newest], known]))[:-1]
        times, data = times[later], data[:, later]
        if len(times) == 0:
            return []
        period = 1 / self._sfreq
        breaks = np.flatnonzero(np.abs(np.diff(times, prepend=self._newest) - period) > period / 2)
        self._newest = times[-1]
        states: list[MentalState] = []
        for begin, end in zip([0, *breaks], [*breaks, len(times)], strict=True):
            if begin in breaks:
                self._restart()
            self._times = np.concatenate([self._times, times[begin:end]])
            self._data = np.concatenate([self._data, data[:, begin:end]], axis=1)
            states += self._states()
        return states

    def _restart(self) -> None:
        self._times, self._data = np.zeros(0), np.zeros((self._n_channels, 0))
        self._counted = 0
        for gauge in self._gauges.values():
            gauge.restart()

    def _states(self) -> list[MentalState]:
        """Give the states that have become complete, and keep the samples that the next one needs."""
        states = []
        while self._counted + self._hop <= self._data.shape[1]:
            self._counted += self._hop
            begin = self._counted - 2 * self._hop
            for name, gauge in self._gauges.items():
                if begin >= 0:
                    gauge.take(self._data[self._picks[name], begin : self._counted], self._sfreq)
            states.append(self._state(float(self._times[self._counted - 1])))
        keep = max(0, self._counted - self._hop)
        self._times, self._data, self._counted = self._times[keep:], self._data[:, keep:], self._counted - keep
        return states

    def _state(self, time: float) -> MentalState:
        values: dict[str, float] = {}
        why: dict[str, str] = {}
        for name, gauge in self._gauges.items():
            value = gauge.value()
            if isinstance(value, str):
                why[name] = value
            else:
                values[name] = value
        reasons = set(why.values())
        if len(reasons) > 1 or len(why) < len(self._gauges):
            reasons = {f"{name}: {reason}" for name, reason in why.items()}
        return MentalState(time, values.get("attention"), values.get("valence"), "; ".join(sorted(reasons)) or None)
