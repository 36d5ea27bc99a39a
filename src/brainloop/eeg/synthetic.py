"""Synthetic EEG: a person who does not exist, whose responses fade as those of real people do."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from brainloop._types import BoolArray, FloatArray
from brainloop.eeg.recordings import Recording, Run
from brainloop.eeg.scalp import PLACES, scalp
from brainloop.errors import SettingsError

__all__ = ["BLINKS_A_MINUTE", "LATENCY_SD", "STRENGTH_SD", "UV", "Attention", "SyntheticWearer", "bump", "shaped_noise"]

LEAD_IN, TAIL = 3.0, 1.5
"""EEG before the first and after the last onset, s: the filter settles, the last window is complete."""

CALIBRATION_BLOCKS = 1_000_000
"""Number of the first block of a calibration: far from those of a study, which count from 0."""

LATENCY_SD, STRENGTH_SD = 0.04, 0.25
"""How much the P300 varies from trial to trial: in time, s, and in amplitude, as a share."""

BLINKS_A_MINUTE = 8

UV = 1e-6


class Attention:
    """What a target meets in a mind that has seen others before it: expectation, and the attentional blink."""

    def __init__(self) -> None:
        self._share, self._seen = 0.1, -np.inf

    def gain(self, onset: float, is_target: bool, hardness: float = 0.0) -> float:
        """Say how strong the P300 to the next presentation is on average, as a share; 0 without one.

        Parameters
        ----------
        onset : float
            Later than those before it, s.
        is_target : bool
            Whether a target is seen.
        hardness : float
            How hard the image is to tell, 0 to 1.
        """
        gain = 0.0
        if is_target and onset - self._seen >= 0.5:
            gain = float(np.clip(1.0 - 1.25 * (self._share - 0.1), 0.25, 1.0) * (1.0 - 0.6 * hardness))
            self._seen = onset
        # The expectation of a target follows about the last twenty images.
        self._share += (float(is_target) - self._share) / 20
        return gain


@dataclass(frozen=True)
class SyntheticWearer:
    """One simulated person: continuous EEG in answer to a schedule of presentations.

    Everything follows from the seed and the number of the block, so that any block can be rendered again by
    itself. Magnitudes are those of healthy adults with gel electrodes:

    - background: 1/f noise, power falling as f to the -1.5 (He 2014), 6 uV, shared between neighbours; white
      noise of the amplifier, 0.5 uV; a slow random walk of each electrode, 10 uV in 10 s, about an offset of
      up to 1 mV;
    - alpha at 10 Hz, 4 uV over the occiput, waxing and waning; mains of 3 uV;
    - blinks, 8 a minute, 0.3 s, 120 uV beside the eyes, falling to the back of the head;
    - to every image P1 (100 ms, 3 uV) and N1 (170 ms, -4 uV), bilateral over PO7 and PO8 (Luck 2014, ch. 3);
    - to a target a P300, largest at Pz, at 0.36 to 0.42 s by person, jittering by 40 ms from trial to trial
      and by a quarter in amplitude (Polich 2007).

    What makes the P300 of a target weaker:

    - frequent targets: its amplitude falls in a line with their recent share (Duncan-Johnson and Donchin
      1977), by a half at a share of one half;
    - the attentional blink: it is gone for a target less than 0.5 s after one that was seen (Raymond et al.
      1992; Vogel et al. 1998 on the P300);
    - hard images: at hardness 1 it is less than half as large and 0.1 s later (Kutas et al. 1977).

    Parameters
    ----------
    seed : int
        Who it is, 0 or more.
    sfreq : float
        Sampling rate, Hz.
    p300 : float
        Amplitude of the P300 to rare, easy targets at Pz, V. The default gives a single-trial AUC of about
        .8 to `xdawn_ts` trained on 400 presentations at 5 Hz with targets anywhere, the attentional blink included.
    mains : float
        Mains frequency, Hz.
    channels : tuple of str
        Names of electrodes in the 10-05 system.
    misses : float
        Share of the targets that are not noticed at all, 0 to 1.

    References
    ----------
    Duncan-Johnson and Donchin (1977), "On quantifying surprise", Psychophysiology 14.
    He (2014), "Scale-free brain activity: past, present, and future", Trends Cogn. Sci. 18.
    Kutas, McCarthy and Donchin (1977), "Augmenting mental chronometry: the P300 as a measure of stimulus
    evaluation time", Science 197.
    Luck (2014), "An Introduction to the Event-Related Potential Technique", MIT Press.
    Polich (2007), "Updating P300: an integrative theory of P3a and P3b", Clin. Neurophysiol. 118.
    Raymond, Shapiro and Arnell (1992), "Temporary suppression of visual processing in an RSVP task",
    J. Exp. Psychol. Hum. Percept. Perform. 18.
    Vogel, Luck and Shapiro (1998), "Electrophysiological evidence for a postperceptual locus of suppression
    during the attentional blink", J. Exp. Psychol. Hum. Percept. Perform. 24.
    """

    seed: int
    sfreq: float = 250.0
    p300: float = 16 * UV
    mains: float = 50.0
    channels: tuple[str, ...] = tuple(PLACES)
    misses: float = 0.0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise SettingsError(f"expected a seed of 0 or more, got {self.seed}")
        if not self.sfreq > 2 * self.mains:
            raise SettingsError(f"expected a sampling rate above {2 * self.mains:g} Hz, got {self.sfreq:g} Hz")
        if not 0 <= self.misses <= 1:
            raise SettingsError(f"expected a share of misses between 0 and 1, got {self.misses:g}")
        scalp(self.channels)

    @property
    def latency(self) -> float:
        """When this person's P300 to an easy target has its peak, s after the onset."""
        return float(np.random.default_rng([0, self.seed]).uniform(0.36, 0.42))

    def p300_gains(self, onsets: FloatArray, is_target: BoolArray, hardness: FloatArray | None = None) -> FloatArray:
        """Say how strong the P300 to each presentation is on average, as a share of `p300`.

        Parameters
        ----------
        onsets : array of shape (n,)
            Increasing, s.
        is_target : bool array of shape (n,)
            Whether a target is shown.
        hardness : array of shape (n,), optional
            How hard each image is to tell, 0 to 1; all easy where left out.

        Returns
        -------
        array of shape (n,)
            0 for non-targets and within the attentional blink.
        """
        hardness = np.zeros(len(onsets)) if hardness is None else hardness
        attention = Attention()
        seen = zip(onsets.tolist(), is_target.tolist(), hardness.tolist(), strict=True)
        return np.array([attention.gain(*one) for one in seen])

    def wear(
        self,
        onsets: FloatArray,
        is_target: BoolArray,
        hardness: FloatArray | None = None,
        *,
        block: int = 0,
    ) -> Run:
        """Render the EEG of one block of presentations.

        Parameters
        ----------
        onsets : array of shape (n,)
            Increasing, s, on any clock.
        is_target : bool array of shape (n,)
            Whether a target is shown.
        hardness : array of shape (n,), optional
            How hard each image is to tell, 0 to 1; all easy where left out.
        block : int
            Number of the block: each has noise of its own.

        Returns
        -------
        Run
            From 3 s before the first onset to 1.5 s after the last, V, on the clock of the onsets.

        Raises
        ------
        SettingsError
            If onsets do not increase, shapes differ, or hardness is not between 0 and 1.
        """
        onsets = np.asarray(onsets, dtype=float)
        is_target = np.asarray(is_target, dtype=bool)
        hardness = np.zeros(len(onsets)) if hardness is None else np.asarray(hardness, dtype=float)
        if not len(onsets) == len(is_target) == len(hardness) or len(onsets) == 0:
            raise SettingsError(
                "expected as many onsets as classes and hardnesses, one or more, "
                f"got {len(onsets)}, {len(is_target)} and {len(hardness)}"
            )
        if not (np.diff(onsets) > 0).all():
            raise SettingsError("expected onsets that increase, in seconds")
        if not ((hardness >= 0) & (hardness <= 1)).all():
            raise SettingsError("expected hardness between 0 and 1")
        noticed = is_target & (np.random.default_rng([3, self.seed, block]).random(len(onsets)) >= self.misses)
        rng = np.random.default_rng([1, self.seed, block])
        n_samples = round((onsets[-1] - onsets[0] + LEAD_IN + TAIL) * self.sfreq)
        times = onsets[0] - LEAD_IN + np.arange(n_samples) / self.sfreq
        data = self._background(rng, n_samples) + self._blinks(rng, times)
        data += self._responses(rng, times, onsets, noticed, hardness)
        return Run(data, times, onsets, is_target)

    def calibration(self, n: int = 400, *, prevalence: float = 0.15, soa: float = 0.2) -> Recording:
        """Render a calibration session: blocks of 100 easy images with the targets anywhere among them.

        Targets are not kept apart, because a study does not know which images are targets either: a calibration without
        the misses of the attentional blink would promise more evidence than a study's responses hold.

        Parameters
        ----------
        n : int
            Number of presentations.
        prevalence : float
            Share of targets.
        soa : float
            Onset to onset, s.

        Returns
        -------
        Recording
            One run a block.

        Raises
        ------
        SettingsError
            If a block would have no target, or nothing else.
        """
        rng = np.random.default_rng([2, self.seed])
        runs: list[Run] = []
        for number, begin in enumerate(range(0, n, 100)):
            size = min(100, n - begin)
            n_targets = round(prevalence * size)
            if not 0 < n_targets < size:
                raise SettingsError(
                    f"expected a prevalence that puts targets and others into {size} images, got {prevalence:g}"
                )
            is_target = rng.permutation(np.arange(size) < n_targets)
            runs.append(self.wear(np.arange(size) * soa, is_target, block=CALIBRATION_BLOCKS + number))
        name = f"sub-simulated{self.seed}"
        return Recording(name, name, "", self.channels, self.sfreq, tuple(runs))

    def _background(self, rng: np.random.Generator, n_samples: int) -> FloatArray:
        head, n = scalp(self.channels), len(self.channels)
        frequencies = fft.rfftfreq(n_samples, 1 / self.sfreq)
        pink = shaped_noise(rng, n, n_samples, np.maximum(frequencies, 0.5) ** -0.75)
        alpha = shaped_noise(rng, 1, n_samples, np.exp(-((frequencies - 10.0) ** 2) / (2 * 0.5**2)))
        walk = np.cumsum(rng.standard_normal((n, n_samples)), axis=1) / np.sqrt(10 * self.sfreq)
        phase = rng.uniform(0, 2 * np.pi)
        hum = np.sin(2 * np.pi * self.mains * np.arange(n_samples) / self.sfreq + phase)
        return np.asarray(
            6 * UV * head.neighbours @ pink
            + 4 * UV * head.alpha[:, None] * alpha
            + 10 * UV * walk
            + 3 * UV * np.sqrt(2) * rng.uniform(0.5, 1.5, (n, 1)) * hum
            + 0.5 * UV * rng.standard_normal((n, n_samples))
            + 1000 * UV * rng.uniform(-1, 1, (n, 1))
        )

    def _blinks(self, rng: np.random.Generator, times: FloatArray) -> FloatArray:
        total = np.zeros(len(times))
        for centre in rng.uniform(times[0], times[-1], rng.poisson(BLINKS_A_MINUTE / 60 * (times[-1] - times[0]))):
            total += 120 * UV * rng.uniform(0.7, 1.3) * bump(times, centre, 0.07)
        return scalp(self.channels).eyes[:, None] * total

    def _responses(
        self,
        rng: np.random.Generator,
        times: FloatArray,
        onsets: FloatArray,
        is_target: BoolArray,
        hardness: FloatArray,
    ) -> FloatArray:
        head = scalp(self.channels)
        latencies = self.latency + 0.1 * hardness + rng.normal(0, LATENCY_SD, len(onsets))
        strengths = self.p300_gains(onsets, is_target, hardness) * rng.normal(1, STRENGTH_SD, len(onsets)).clip(0)
        visual = np.zeros(len(times))
        late = np.zeros(len(times))
        for onset, latency, strength in zip(onsets, latencies, strengths, strict=True):
            begin, end = np.searchsorted(times, [onset, onset + 1.2])
            after = times[begin:end] - onset
            visual[begin:end] += 3 * UV * bump(after, 0.1, 0.015) - 4 * UV * bump(after, 0.17, 0.02)
            late[begin:end] += self.p300 * strength * bump(after, latency, 0.075)
        return head.visual[:, None] * visual + head.parietal[:, None] * late


def bump(times: FloatArray, centre: float, width: float) -> FloatArray:
    """Give a Gaussian wave of height 1, its standard deviation `width`."""
    return np.asarray(np.exp(-((times - centre) ** 2) / (2 * width**2)))


def shaped_noise(rng: np.random.Generator, n_sources: int, n_samples: int, amplitude: FloatArray) -> FloatArray:
    """Make noise of a given amplitude spectrum and unit variance, shape (n_sources, n_samples)."""
    spectrum = fft.rfft(rng.standard_normal((n_sources, n_samples)), axis=1) * amplitude
    spectrum[:, 0] = 0
    noise = fft.irfft(spectrum, n_samples, axis=1)
    return np.asarray(noise / noise.std())
