"""A head seen from above: where electrodes sit, and how far a source below one place reaches to the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from brainloop._types import FloatArray
from brainloop.eeg.positions import CENTRE, template_positions
from brainloop.errors import SettingsError

__all__ = ["CAP", "PLACES", "Scalp", "places", "scalp"]

PLACES = {
    "Fp1": (-0.31, 0.95),
    "Fp2": (0.31, 0.95),
    "Fz": (0.0, 0.5),
    "Cz": (0.0, 0.0),
    "Pz": (0.0, -0.5),
    "PO7": (-0.59, -0.81),
    "Oz": (0.0, -1.0),
    "PO8": (0.59, -0.81),
}
"""Places on the head from above, nose up, the ears at x = -1 and 1: the 10-20 system's projection."""

CAP = (
    *PLACES, "P3", "P4", "C3", "C4", "F3", "F4", "O1", "O2",
    "P7", "P8", "T7", "T8", "F7", "F8", "POz", "CPz", "CP1", "CP2", "FC1", "FC2", "CP5", "CP6", "FC5", "FC6",
    "AF3", "AF4", "AF7", "AF8", "AFz", "Fpz", "F1", "F2", "F5", "F6", "FCz", "FC3", "FC4", "FT7", "FT8", "C1", "C2",
    "C5", "C6", "CP3", "CP4", "TP7", "TP8", "P1", "P2", "P5", "P6", "P9", "P10", "PO3", "PO4", "Iz",
)  # fmt: skip
"""The 64 places of the 10-10 system that caps have, in an order of which every beginning covers the head."""

RIM = np.deg2rad(86.0)
"""Angle between Cz and the rim through Fpz, T7, Oz and T8, as MNE's template has it; 90 degrees on a sphere."""


@dataclass(frozen=True, eq=False)
class Scalp:
    """What each electrode takes up of what goes on inside.

    Attributes
    ----------
    neighbours : array of shape (n_channels, n_channels)
        Mixes independent noise so that neighbours share it; rows of unit length.
    alpha, eyes, visual, parietal : array of shape (n_channels,)
        Share of the occipital rhythm, the eyelids, the visual cortex of both sides, and the P300; 1 right above.
    frontal : array of shape (n_channels, 2)
        Share of the frontal rhythms of the left and of the right side, below F3 and F4.
    """

    neighbours: FloatArray
    alpha: FloatArray
    eyes: FloatArray
    visual: FloatArray
    parietal: FloatArray
    frontal: FloatArray


@cache
def scalp(channels: tuple[str, ...]) -> Scalp:
    """Lay electrodes on the head.

    Parameters
    ----------
    channels : tuple of str
        Names of the 10-05 system.

    Raises
    ------
    SettingsError
        If a name is none of it.
    """
    where = places(channels)
    distances = np.linalg.norm(where[:, None] - where[None], axis=2)
    neighbours = np.exp(-(distances**2) / (2 * 0.5**2))
    neighbours /= np.linalg.norm(neighbours, axis=1, keepdims=True)
    return Scalp(
        neighbours=neighbours,
        alpha=_reach(where, (0.0, -0.95), 0.6),
        eyes=np.maximum(_reach(where, (-0.31, 1.05), 0.4), _reach(where, (0.31, 1.05), 0.4)),
        visual=np.maximum(_reach(where, (-0.59, -0.81), 0.4), _reach(where, (0.59, -0.81), 0.4)),
        parietal=_reach(where, (0.0, -0.5), 0.6),
        frontal=np.stack([_reach(where, (side * 0.4, 0.5), 0.35) for side in (-1, 1)], axis=1),
    )


def places(channels: Sequence[str]) -> FloatArray:
    """Look up where electrodes are, seen from above.

    Those of `PLACES` are known; any other is that of MNE's standard montage, its distance from Cz the angle between
    them (azimuthal equidistant projection).

    Parameters
    ----------
    channels : sequence of str
        Names of the 10-05 system.

    Returns
    -------
    array of shape (n_channels, 2)
        Right and front; the ears at x = -1 and 1.

    Raises
    ------
    SettingsError
        If a name is none of it, there is none, or one comes twice.
    """
    if not channels or len(set(channels)) < len(channels):
        raise SettingsError(f"expected one channel or more, each name once, got {', '.join(channels) or 'none'}")
    if all(name in PLACES for name in channels):
        return np.array([PLACES[name] for name in channels])
    above = template_positions([*channels, "Cz"]) - CENTRE
    if missing := [name for name, place in zip(channels, above, strict=False) if np.isnan(place).any()]:
        raise SettingsError(f"expected channels of the 10-05 system, got {', '.join(missing)}")
    above /= np.linalg.norm(above, axis=1, keepdims=True)
    up = above[-1]
    front = np.cross(up, np.cross([0.0, 1.0, 0.0], up))
    front /= np.linalg.norm(front)
    right = np.cross(front, up)
    flat = above[:-1] @ np.stack([right, front], axis=1)
    angles = np.arccos(np.clip(above[:-1] @ up, -1, 1))
    flat *= (angles / RIM / np.maximum(np.linalg.norm(flat, axis=1), 1e-9))[:, None]
    return np.array([PLACES.get(name, tuple(place)) for name, place in zip(channels, flat, strict=True)])


def _reach(where: FloatArray, centre: tuple[float, float], width: float) -> FloatArray:
    """Give each electrode's share of a source below a place on the head, 1 right above, shape (n_channels,)."""
    distances = np.linalg.norm(where - np.array(centre), axis=1)
    return np.asarray(np.exp(-(distances**2) / (2 * width**2)))
