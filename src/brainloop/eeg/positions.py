"""Where electrodes are, and what a channel would read that has to be guessed from its neighbours."""

import re
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from brainloop._types import FloatArray
from brainloop.errors import SettingsError

__all__ = ["bare_name", "file_positions", "interpolation", "template_positions"]

TEMPLATE = "standard_1005"
"""The 10-05 system on the Colin27 head: the montage that knows most names."""

SUCCESSORS = {"standard_1005": "colin27_1005", "standard_1020": "colin27_1020"}
"""What MNE 1.13 calls them; it takes the former names out."""

OLD_NAMES = {"t3": "t7", "t4": "t8", "t5": "p7", "t6": "p8", "m1": "tp9", "m2": "tp10"}
"""The 10-20 system's names, and the mastoids, as the 10-10 system has them."""

CENTRE = np.array([0.0, 0.0, 0.04])
"""Centre of the head in MNE's head frame, m: 4 cm above the line between the ears."""


def template_positions(names: Sequence[str], montage: str | None = None) -> FloatArray:
    """Look channels up by name in one of MNE's standard montages.

    Names match without regard to case; `EEG Fp1-REF` and `Fp1.` are read as `Fp1`, T3 as T7 and so on.

    Parameters
    ----------
    names : sequence of str
        Names of channels.
    montage : str or None
        Name of one of MNE's standard montages; None for the 10-05 system.

    Returns
    -------
    array of shape (n_channels, 3)
        Right, front and up in MNE's head frame, m; NaN where the montage does not know the name.

    Raises
    ------
    SettingsError
        If MNE has no such montage.
    """
    known = _montage(montage or TEMPLATE)
    places = []
    for name in names:
        bare = bare_name(name)
        places.append(known.get(bare, known.get(OLD_NAMES.get(bare, ""), (np.nan,) * 3)))
    return np.array(places, dtype=float).reshape(len(names), 3)


def bare_name(name: str) -> str:
    """Give a channel's name in lower case, without what devices and files put around it: fp1 of `EEG Fp1-REF`."""
    return re.sub(r"^eeg[ _]+|-(ref|le|avg?)$|\.+$", "", name.strip().casefold())


def file_positions(info: Any) -> FloatArray:
    """Give the positions that an MNE file has for its channels, shape (n_channels, 3), m; NaN where it has none.

    A position further than 0.2 m from the centre of the head, or within 0.03 m of it, is none: its unit is wrong.
    """
    places = np.array([channel["loc"][:3] for channel in info["chs"]], dtype=float).reshape(-1, 3)
    distance = np.linalg.norm(places - CENTRE, axis=1)
    places[~((distance > 0.03) & (distance < 0.2)) | ~places.any(axis=1)] = np.nan
    return places


def interpolation(positions: FloatArray, wanted: FloatArray) -> FloatArray:
    """Weigh channels so that they give what electrodes at other places would read, by spherical splines.

    Parameters
    ----------
    positions : array of shape (n, 3)
        Where the channels are, m, head frame.
    wanted : array of shape (m, 3)
        Where a reading is wanted, m.

    Returns
    -------
    array of shape (m, n)
        Weights; each row adds to one.

    References
    ----------
    Perrin, Pernier, Bertrand and Echallier (1989), "Spherical splines for scalp potential and current density
    mapping", Electroencephalogr. Clin. Neurophysiol. 72.
    """
    import mne

    n, m = len(positions), len(wanted)
    names = [f"{number}" for number in range(n + m)]
    info = mne.create_info(names, 1.0, "eeg")
    for channel, place in zip(info["chs"], np.concatenate([positions, wanted]), strict=True):
        channel["loc"][:3] = place
    info["bads"] = names[n:]
    # Interpolation is linear: what it makes of unit vectors are its weights.
    units = mne.EvokedArray(np.eye(n + m), info, verbose="error")
    units.interpolate_bads(origin=tuple(CENTRE), reset_bads=False, verbose="error")
    return np.array(units.data[n:, :n], dtype=float)


@cache
def _montage(name: str) -> dict[str, tuple[float, ...]]:
    import mne

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            there = mne.channels.get_builtin_montages()
            successor = SUCCESSORS.get(name, name)
            montage = mne.channels.make_standard_montage(successor if successor in there else name)
            info = mne.create_info(montage.ch_names, 1.0, "eeg")
            info.set_montage(montage)
    except ValueError as error:
        raise SettingsError(
            f"expected the name of a standard montage, got {name!r}; MNE has: {', '.join(there)}"
        ) from error
    return {channel["ch_name"].casefold(): tuple(map(float, channel["loc"][:3])) for channel in info["chs"]}
