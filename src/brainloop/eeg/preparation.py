"""From the channels of a headset to those a decoder sees: one matrix, learned offline and applied live."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from brainloop._types import FloatArray
from brainloop.eeg.blinks import blink_matrix
from brainloop.eeg.positions import interpolation
from brainloop.eeg.quality import band_pass, find_faults
from brainloop.eeg.source import Source
from brainloop.errors import RecordingError, SettingsError

__all__ = ["BadChannels", "Blinks", "Preparation", "find_channels", "learn_preparation", "reference_channels"]

BadChannels = Literal["repair", "keep"]
Blinks = Literal["auto", "off"]

MIN_NEIGHBOURS = 8
"""Good channels with positions needed to interpolate: fewer lie further apart than EEG stays alike."""

MAX_INTERPOLATED = 0.2
"""Largest share of channels that is interpolated: more, and neighbours are missing together."""

BLOCK = 4096
"""Samples that are multiplied at a time: they stay in the processor's cache."""


@dataclass(frozen=True)
class Preparation:
    """A linear and instantaneous map of channels: choice, repair of bad ones, blinks, reference.

    It comes before `brainloop.eeg.signal.CausalFilter`, sample by sample, so that a live headset takes it as a
    recording does.

    Attributes
    ----------
    inputs : tuple of str
        Channels it reads, EEG and eye channels; those that play no part are left out.
    outputs : tuple of str
        Channels it gives.
    matrix : array of shape (n_outputs, n_inputs)
        Without a unit.
    repairs : tuple of str
        What was found and mended, a sentence each.

    Raises
    ------
    SettingsError
        If the matrix does not fit the names, or a name comes twice.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    matrix: FloatArray
    repairs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.matrix.shape != (len(self.outputs), len(self.inputs)):
            raise SettingsError(
                f"expected a matrix of shape ({len(self.outputs)}, {len(self.inputs)}), got {self.matrix.shape}"
            )
        for names in (self.inputs, self.outputs):
            if len(set(map(str.casefold, names))) < len(names):
                raise SettingsError(f"expected channels with names of their own, got {', '.join(names)}")

    @classmethod
    def identity(cls, channels: Sequence[str]) -> "Preparation":
        """Give the one that changes nothing."""
        return cls(tuple(channels), tuple(channels), np.eye(len(channels)))

    def __call__(self, data: FloatArray) -> FloatArray:
        """Prepare samples: any way of cutting them into chunks gives the same, to the last bit.

        Parameters
        ----------
        data : array of shape (n_inputs, n_samples)
            The channels of `inputs`, V.

        Returns
        -------
        array of shape (n_outputs, n_samples)
            V.
        """
        if data.ndim != 2 or len(data) != len(self.inputs):
            raise SettingsError(f"expected samples of shape ({len(self.inputs)}, n), got {data.shape}")
        prepared = np.zeros((len(self.outputs), data.shape[1]))
        # A matrix product of BLAS rounds by the number of its columns: one chunk would differ from another.
        for begin in range(0, data.shape[1], BLOCK):
            part = prepared[:, begin : begin + BLOCK]
            for weights, channel in zip(self.matrix.T, data[:, begin : begin + BLOCK], strict=True):
                rows = np.flatnonzero(weights)  # NaN goes no further than to what it is part of
                part[rows] += weights[rows, None] * channel
        return prepared

    def on(self, channels: Sequence[str]) -> "Preparation":
        """Give the same for a headset or a recording that has its channels in another order, or more of them.

        Parameters
        ----------
        channels : sequence of str
            What there is; names match without regard to case.

        Returns
        -------
        Preparation
            Its inputs are these channels, all of them.

        Raises
        ------
        RecordingError
            If channels that are read are not among them.
        """
        places = find_channels(self.inputs, channels, "the preparation reads")
        matrix = np.zeros((len(self.outputs), len(channels)))
        matrix[:, places] = self.matrix
        return Preparation(tuple(channels), self.outputs, matrix, self.repairs)

    def pick(self, channels: Sequence[str]) -> "Preparation":
        """Give the same with these outputs only, in this order and under these names.

        Raises
        ------
        RecordingError
            If one of them is not an output.
        """
        matrix = self.matrix[find_channels(channels, self.outputs, "you asked for")]
        read = np.flatnonzero(np.any(matrix, axis=0))
        inputs = tuple(self.inputs[i] for i in read)
        return Preparation(inputs, tuple(channels), matrix[:, read], self.repairs)


def find_channels(wanted: Sequence[str], there: Sequence[str], who: str) -> list[int]:
    """Give the place of each wanted channel among those there are, without regard to case.

    Raises
    ------
    RecordingError
        If one is not there; the message begins with what `who` says.
    """
    places = {name.casefold(): place for place, name in enumerate(there)}
    missing = [name for name in wanted if name.casefold() not in places]
    if missing:
        raise RecordingError(
            f"{who} {', '.join(missing)}, but the channels there are: {', '.join(there)}; "
            "correct the names, or use what has these channels"
        )
    return [places[name.casefold()] for name in wanted]


def reference_channels(reference: str | Sequence[str] | None, there: Sequence[str]) -> list[str]:
    """Give the channels that a reference names, as they are called there: none for 'average' and None."""
    if reference is None or reference == "average":
        return []
    named = [reference] if isinstance(reference, str) else reference
    return [there[place] for place in find_channels(named, there, "reference=... names")]


def learn_preparation(
    sources: Sequence[Source],
    positions: FloatArray,
    outputs: Sequence[str],
    *,
    reference: str | Sequence[str] | None = None,
    bad_channels: BadChannels = "repair",
    blinks: Blinks = "auto",
) -> Preparation:
    """Learn from a session how its channels are to be prepared.

    In this order: bad channels are found; eye movements are regressed out of the good ones; bad ones are interpolated
    from these by spherical splines, or dropped where fewer than `MIN_NEIGHBOURS` good ones have positions or more than
    `MAX_INTERPOLATED` are bad; then comes the reference. All of it looks at the signal only, never at what was shown:
    learning it on a whole session tells a decoder nothing about the classes of the trials it is tested on.

    Parameters
    ----------
    sources : sequence of Source
        The runs of the session, or its first part: the same channels in the same order in all.
    positions : array of shape (n_eeg, 3)
        Of their EEG channels, m; NaN where unknown.
    outputs : sequence of str
        EEG channels that are wanted; those of the reference are left out of them.
    reference : 'average', sequence of str or None
        What is subtracted from every channel: the mean of all good ones, the mean of the named ones, nothing.
    bad_channels : 'repair' or 'keep'
        Whether bad channels are looked for and mended.
    blinks : 'auto' or 'off'
        Whether eye movements are regressed out where channels allow, see `brainloop.eeg.blinks`.

    Returns
    -------
    Preparation
        With a sentence for everything that was mended.

    Raises
    ------
    RecordingError
        If no good channel is left, or none of the reference.
    SettingsError
        If an argument is none of its values.
    """
    for name, value, known in (("bad_channels", bad_channels, BadChannels), ("blinks", blinks, Blinks)):
        if value not in get_args(known):
            raise SettingsError(f"expected {name} to be one of {get_args(known)}, got {value!r}")
    eeg, eog = sources[0].eeg, sources[0].eog
    referees = reference_channels(reference, eeg)
    wanted = [name for name in outputs if name not in referees]
    banded = [band_pass(source.data, source.sfreq) for source in sources]
    faults: dict[str, str] = {}
    blind: dict[str, str] = {}
    if bad_channels == "repair":
        faults = find_faults([run[: len(eeg)] for run in banded], eeg)
        faults |= {name: "marked bad in the file" for source in sources for name in eeg if name in source.bad}
        blind = find_faults([run[len(eeg) :] for run in banded], eog) if eog else {}
    good = [name for name in eeg if name not in faults]
    if not set(good) & set(wanted) or (referees and not set(good) & set(referees)):
        raise RecordingError(
            f"every EEG channel {'of the reference' if set(good) & set(wanted) else 'that is wanted'} is bad: "
            + "; ".join(f"{name} is {fault}" for name, fault in faults.items())
            + ". Correct the marks, choose others, or record again"
        )
    eyes = [name for name in eog if name not in blind]
    cleaned: FloatArray = np.eye(len(good), len(good) + len(eyes))
    said = None
    if blinks == "auto":
        rows = [sources[0].channels.index(name) for name in (*good, *eyes)]
        cleaned, said = blink_matrix([run[rows] for run in banded], good, eyes)
    mended = _neighbours(eeg, positions, good, [name for name in wanted if name in faults])
    unit = dict(zip(good, np.eye(len(good)), strict=True))
    kept = [name for name in wanted if name in unit or name in mended]
    weights: FloatArray = np.stack(
        [unit[name] if name in unit else mended[name] for name in kept]
    )  # (n_outputs, n_good)
    if reference is not None:
        read = np.isin(good, referees or wanted)
        weights = weights - read / read.sum()
    matrix = weights @ cleaned
    inputs = np.flatnonzero(np.any(matrix, axis=0))
    fates = dict.fromkeys(faults, "left out") | dict.fromkeys(mended, "interpolated from its neighbours")
    fates |= dict.fromkeys(set(faults) & set(referees), "the reference does without it")
    repairs = [f"{name} is {fault}; {fates[name]}" for name, fault in faults.items()]
    repairs += [f"{name} is {fault}; eye movements are found without it" for name, fault in blind.items()]
    return Preparation(
        inputs=tuple((*good, *eyes)[i] for i in inputs),
        outputs=tuple(kept),
        matrix=matrix[:, inputs],
        repairs=(*repairs, said) if said else tuple(repairs),
    )


def _neighbours(
    eeg: Sequence[str], positions: FloatArray, good: Sequence[str], bad: Sequence[str]
) -> dict[str, FloatArray]:
    """Weigh the good channels for each bad one that can be interpolated from them, shape (n_good,)."""
    place = {name: where for name, where in zip(eeg, positions, strict=True) if np.isfinite(where).all()}
    near = [name for name in good if name in place]
    lost = [name for name in bad if name in place]
    if not lost or len(near) < MIN_NEIGHBOURS or len(bad) > MAX_INTERPOLATED * (len(good) + len(bad)):
        return {}
    weights = np.zeros((len(lost), len(good)))
    weights[:, [good.index(name) for name in near]] = interpolation(
        np.stack([place[name] for name in near]), np.stack([place[name] for name in lost])
    )
    return dict(zip(lost, weights, strict=True))
