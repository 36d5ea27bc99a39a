"""What the bench of fusion computes with: images embedded once, recordings decoded with all channels and with fewer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from brainloop._types import FloatArray, Progress, no_progress
from brainloop.bench.preparation import class_folders, people_of
from brainloop.eeg.recordings import Recording
from brainloop.eeg.signal import Signal
from brainloop.errors import SettingsError
from brainloop.observers.answers import Answers, Decoded, decode
from brainloop.settings import Settings
from brainloop.uses.responses import responses

__all__ = ["DECODER", "Brain", "FusionData", "prepare_fusion"]

MOST_CLASSES = 5
"""Class folders that are looked for in turn, at most: the first by name."""

DECODER = "xdawn_ts"
"""The decoder of every brain: half a second for one of eight channels, and no worse than the ensemble on g.tec."""


@dataclass(frozen=True, eq=False)
class Brain:
    """A person's recordings with some of their channels, decoded.

    Parameters
    ----------
    person : str
        Whose.
    channels : int
        How many are used.
    halves : tuple of (Answers, Answers)
        The answering epochs, early and late: one half answers images to learn from and the other images to test on.
    numbers : mapping of str to array, shape (n_numbers,)
        Of each usable answering epoch by its source; see `brainloop.uses.responses`.
    """

    person: str
    channels: int
    halves: tuple[Answers, Answers]
    numbers: Mapping[str, FloatArray]


@dataclass(frozen=True, eq=False)
class FusionData:
    """All that the bench computes with.

    Parameters
    ----------
    vectors : array, shape (n_images, width)
        Embeddings.
    labels : array of str, shape (n_images,)
        Class folder of each image.
    targets : tuple of str
        What is looked for, in turn.
    brains : tuple of Brain
        Every person with all of their channels, with fewer, and so on.
    """

    vectors: FloatArray
    labels: Any
    targets: tuple[str, ...]
    brains: tuple[Brain, ...]


def prepare_fusion(
    images: Path,
    recordings: Sequence[Path],
    backbone: str,
    cache: Path,
    *,
    target: str | None = None,
    progress: Progress = no_progress,
) -> FusionData:
    """Embed the images, once, and decode the recordings, once for each number of channels.

    Parameters
    ----------
    images : Path
        A folder of class folders.
    recordings : sequence of Path
        Files or folders.
    backbone : str
        As in `brainloop.images.backbones.load_backbone`.
    cache : Path
        Where embeddings are kept.
    target : str, optional
        The only class that is looked for; by default each in turn, the first five by name.
    progress : Progress
        Called with (brains decoded, brains).

    Raises
    ------
    SettingsError
        If the folder has no two classes, or not the one that is asked for.
    ImageError, BackboneError, RecordingError, DecoderError
        If a part cannot be used.
    """
    photographs = class_folders(images, backbone, cache)
    classes = photographs.classes
    if target is not None and target not in classes:
        raise SettingsError(f"expected a class folder {target!r} below {images}; there are: {', '.join(classes)}")
    settings = Settings(images=str(images), target=classes[0], recordings=tuple(map(str, recordings)))
    wanted = [
        (person, own, n)
        for person, own in people_of(recordings, settings).items()
        for n in _steps(max(len(one.channels) for one in own))
    ]
    brains = []
    for done, (person, own, n) in enumerate(wanted):
        progress(done, len(wanted))
        brains.append(_brain(person, [_with_fewer(one, n) for one in own]))
    progress(len(wanted), len(wanted))
    return FusionData(
        photographs.vectors, np.array(classes)[photographs.labels],
        (target,) if target else tuple(classes[:MOST_CLASSES]), tuple(brains),
    )  # fmt: skip


def _steps(n: int) -> list[int]:
    """Numbers of channels: all of them, and half as many each time, to one."""
    return [n >> k for k in range(n.bit_length())]


def _with_fewer(recording: Recording, n: int) -> Recording:
    """Give a recording with `n` channels spread evenly over its list; the middle one where one is left."""
    all_of_them = recording.channels
    places = [len(all_of_them) // 2] if n == 1 else np.linspace(0, len(all_of_them) - 1, min(n, len(all_of_them)))
    return recording.pick([all_of_them[int(np.rint(place))] for place in places])


def _brain(person: str, own: Sequence[Recording]) -> Brain:
    answers = decode(own, decoder=DECODER)
    numbers: dict[str, FloatArray] = {}
    halves: tuple[list[Decoded], list[Decoded]] = ([], [])
    for recording, decoded in zip(own, answers.recordings, strict=True):
        numbers |= responses(recording)
        n, apart = len(decoded.epochs), int(np.ceil(Signal().duration / recording.soa))
        # Epochs that overlap are never on both sides.
        halves[0].append(replace(decoded, epochs=decoded.epochs[: max(n // 2 - apart, 0)]))
        halves[1].append(replace(decoded, epochs=decoded.epochs[n // 2 :]))
    return Brain(person, len(own[0].channels), (Answers(tuple(halves[0])), Answers(tuple(halves[1]))), numbers)
