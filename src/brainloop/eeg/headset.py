"""A headset: timestamped samples as they come, whatever brings them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from brainloop._types import FloatArray
from brainloop.errors import SettingsError

__all__ = ["Chunk", "Headset", "HeadsetInfo", "find_headsets", "open_headset"]


@dataclass(frozen=True)
class HeadsetInfo:
    """What a headset says of itself.

    Attributes
    ----------
    id : str
        What `open_headset` takes: ``lsl:SOURCE_ID`` (or ``lsl:NAME``), ``brainflow:BOARD``.
    name : str
        As people call it.
    channels : tuple of str
        EEG channels; their samples come first, in volts.
    aux : tuple of str
        All other channels, such as a light sensor; their samples come as the device gives them.
    sfreq : float
        Nominal sampling rate, Hz.
    """

    id: str
    name: str
    channels: tuple[str, ...]
    aux: tuple[str, ...]
    sfreq: float


@dataclass(frozen=True, eq=False)
class Chunk:
    """Samples that came together.

    Attributes
    ----------
    times : array of shape (n_samples,)
        Timestamp of each, s, on the clock of `pylsl.local_clock`; increasing, free of the transport's jitter.
    data : float32 array of shape (n_channels + n_aux, n_samples)
        EEG in volts, then the auxiliary channels.
    arrived : float
        When they were pulled, s, same clock: what is ready later than this has waited for nothing but us.
    """

    times: FloatArray
    data: NDArray[np.float32]
    arrived: float = float("nan")


class Headset(Protocol):
    """A source of chunks; one thread may pull from it.

    Attributes
    ----------
    info : HeadsetInfo
        What it is.
    """

    info: HeadsetInfo

    def pull(self) -> Chunk:
        """Give what has come since the last call, at once, be it nothing; RecordingError if it is gone for good."""
        ...

    def close(self) -> None:
        """Let go of the device."""
        ...


def find_headsets(wait: float = 1.0) -> list[HeadsetInfo]:
    """List the headsets that publish on this network by LSL.

    Parameters
    ----------
    wait : float
        How long to listen for them, s.
    """
    from brainloop.eeg.lsl import find_streams

    return find_streams(wait)


def open_headset(name: str) -> Headset:
    """Open a headset.

    Parameters
    ----------
    name : str
        `HeadsetInfo.id`, or the name of an LSL stream.

    Raises
    ------
    RecordingError
        If there is none of that name, or it has no EEG channel.
    MissingExtraError
        If it needs BrainFlow, which is not installed.
    SettingsError
        If the name is of no known kind.
    """
    kind, _, rest = name.partition(":")
    if kind == "brainflow":
        from brainloop.eeg.brainflow import BrainFlowHeadset

        return BrainFlowHeadset(rest)
    if not name:
        raise SettingsError("expected the name of a headset, got nothing; list them with: brainloop headset list")
    from brainloop.eeg.lsl import LslHeadset

    return LslHeadset(rest if kind == "lsl" else name)
