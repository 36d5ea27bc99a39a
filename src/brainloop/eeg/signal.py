"""The settings of the signal path, and the causal filter with carried state."""

from dataclasses import dataclass

import numpy as np

from brainloop._types import FloatArray
from brainloop.errors import SettingsError

__all__ = ["CausalFilter", "Signal"]


@dataclass(frozen=True)
class Signal:
    """How continuous EEG becomes epochs; one value serves training, replay, simulation and a live headset.

    Attributes
    ----------
    low : float
        High-pass corner, Hz. 0.5 Hz takes electrode drift out and leaves the P300, whose energy is at 1 to
        5 Hz.
    high : float
        Low-pass corner, Hz. Event-related potentials to images lie below it; 20 rather than 15 Hz gained the
        Riemannian member .007 of AUC on Muse and cost nobody anything (docs/methods.md). The fourth order
        takes 50 Hz mains down by 32 dB, and what decimation folds back into the band by 26 dB or more.
    mains : float or None
        Mains frequency to notch out as well, Hz: for dry electrodes with millivolts of mains, which the
        low-pass alone leaves at tens of microvolts. None (default) filters nothing more.
    tmin, tmax : float
        The window of an epoch relative to its onset, s. 0.9 s holds a late P300 and the slow wave after it.
    rate : float
        Sampling rate of an epoch, Hz: the recording's rate divided by the whole number that comes closest.
        About three times `high`; more samples only add dimensions to estimate.
    settle : float
        Time after a start or a gap before epochs are taken, s: two time constants of the high-pass, which
        starts there from its first sample.
    max_amplitude : float
        Largest peak-to-peak value of the filtered signal, V, in any channel of an epoch; above is an
        artefact. A large blink beside the eyes is 0.2 to 0.4 mV, and decoders stand it well; a moving
        electrode is more.
    max_gradient : float
        Steepest slope of the filtered signal, V/s, in any channel of an epoch; above, an electrode popped or a cable
        moved: a step of 0.35 mV reaches it. A blink of 0.4 mV has 4 mV/s; the steepest of 5,700 epochs at hand without
        an artefact has 5 mV/s below 15 Hz and 6 below 20 Hz, their artefacts have 30 and more.
    min_amplitude : float
        Smallest peak-to-peak value, V, in any channel of an epoch; below, the channel is flat. An
        amplifier's own noise in this band is about 1 uV peak to peak.

    Raises
    ------
    SettingsError
        If the values are no possible band, window or limits.
    """

    low: float = 0.5
    high: float = 20.0
    mains: float | None = None
    tmin: float = 0.0
    tmax: float = 0.9
    rate: float = 62.5
    settle: float = 1.0
    max_amplitude: float = 500e-6
    max_gradient: float = 10e-3
    min_amplitude: float = 0.1e-6

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise SettingsError(f"expected 0 < low < high, got low={self.low} Hz, high={self.high} Hz")
        if not self.high < self.rate / 2:
            raise SettingsError(
                f"expected a rate of more than twice high={self.high} Hz, got rate={self.rate} Hz: "
                "raise the rate or lower high"
            )
        if self.mains is not None and not self.high < self.mains:
            raise SettingsError(f"expected mains above high={self.high} Hz, got mains={self.mains} Hz")
        if not self.tmin < self.tmax:
            raise SettingsError(f"expected tmin < tmax, got tmin={self.tmin} s, tmax={self.tmax} s")
        if not self.settle >= 0:
            raise SettingsError(f"expected settle of 0 s or more, got {self.settle} s")
        if not 0 <= self.min_amplitude < self.max_amplitude:
            raise SettingsError(
                f"expected 0 <= min_amplitude < max_amplitude, got {self.min_amplitude} V, {self.max_amplitude} V"
            )
        if not self.max_gradient > 0:
            raise SettingsError(f"expected max_gradient above 0 V/s, got {self.max_gradient} V/s")

    @property
    def duration(self) -> float:
        """Length of the window, s: what a split in time must purge."""
        return self.tmax - self.tmin

    def window(self, sfreq: float) -> tuple[int, int, int]:
        """First and last (exclusive) sample relative to the onset's, and the step of decimation."""
        step = max(1, round(sfreq / self.rate))
        return round(self.tmin * sfreq), round(self.tmax * sfreq), step

    def times(self, sfreq: float) -> FloatArray:
        """Time of each of an epoch's samples relative to the onset, s, shape (n_times,)."""
        first, stop, step = self.window(sfreq)
        return np.arange(first, stop, step) / sfreq

    def sos(self, sfreq: float) -> FloatArray:
        """Second-order sections of the causal filter at a sampling rate, shape (n_sections, 6).

        A Butterworth high-pass of order 2, a Butterworth low-pass of order 4 and, with `mains`, a notch of
        quality 30.

        Raises
        ------
        SettingsError
            If the sampling rate is too low for the band.
        """
        from scipy import signal as sps  # late, as it takes most of a second to import

        highest = self.high if self.mains is None else self.mains
        if not sfreq > 2 * highest:
            raise SettingsError(
                f"expected a sampling rate above {2 * highest:g} Hz for signals up to {highest:g} Hz, got "
                f"{sfreq:g} Hz: "
                "lower `high`, or record faster"
            )
        sections = [
            sps.butter(2, self.low, "highpass", fs=sfreq, output="sos"),
            sps.butter(4, self.high, "lowpass", fs=sfreq, output="sos"),
        ]
        if self.mains is not None:
            sections.append(sps.tf2sos(*sps.iirnotch(self.mains, 30.0, fs=sfreq)))
        return np.concatenate(sections)


class CausalFilter:
    """A causal IIR filter that carries its state, so that cutting the stream into chunks changes nothing.

    The state starts as though the first sample had been there for ever: an offset of the electrodes makes
    no step.

    Parameters
    ----------
    sfreq : float
        Sampling rate, Hz.
    n_channels : int
        Number of channels.
    signal : Signal
        The band.
    """

    def __init__(self, sfreq: float, n_channels: int, signal: Signal) -> None:
        from scipy.signal import sosfilt, sosfilt_zi

        self._sos = signal.sos(sfreq)
        self._sosfilt = sosfilt
        self._at_rest = sosfilt_zi(self._sos)[:, None, :]  # (n_sections, 1, 2)
        self._n_channels = n_channels
        self._state: FloatArray | None = None

    def __call__(self, chunk: FloatArray) -> FloatArray:
        """Filter the next samples of the stream.

        Parameters
        ----------
        chunk : array of shape (n_channels, n_samples)
            The next samples, V; any number of them.

        Returns
        -------
        array of shape (n_channels, n_samples)
            The filtered samples, V.
        """
        if chunk.ndim != 2 or chunk.shape[0] != self._n_channels:
            raise SettingsError(f"expected a chunk of shape ({self._n_channels}, n), got {chunk.shape}")
        if chunk.shape[1] == 0:
            return np.zeros(chunk.shape)
        if self._state is None:
            self._state = self._at_rest * chunk[None, :, :1]
        filtered, self._state = self._sosfilt(self._sos, chunk, axis=1, zi=self._state)
        return np.asarray(filtered)
