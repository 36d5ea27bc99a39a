"""The demo: handwritten digits that come with scikit-learn; find the 3s."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from brainloop._types import Progress, no_progress
from brainloop.settings import Settings

__all__ = ["demo_settings", "shared_folder", "write_digits"]


# Digits are easy: 500 looks are more than enough, and short blocks keep the first minute lively.
ROUNDS: dict[str, Any] = {"block_size": 25, "max_looks": 500}


def shared_folder() -> Path | None:
    """Give the folder of real recordings beside the project, from ``BRAINLOOP_SHARED``; None where there is none."""
    folder = Path(os.environ.get("BRAINLOOP_SHARED", "../shared"))
    return folder if (folder / "data" / "eeg").is_dir() else None


def write_digits(folder: Path, progress: Progress = no_progress) -> Path:
    """Write scikit-learn's 1797 handwritten digits, enlarged from 8 to 64 pixels, as PNG files in class folders.

    Parameters
    ----------
    folder : Path
        Made where there is none; what is there already stays.
    progress : Progress
        Called with (images written, images).

    References
    ----------
    Alpaydin and Kaynak (1998), "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    partial = folder / "partial.png"  # a kill must not leave half a digit under a digit's name
    for number, (pixels, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / str(digit) / f"{number:04d}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Dark ink on white paper, and 16 grey levels over the whole range of a byte.
            ink = Image.fromarray((255 - pixels * 255 / 16).astype(np.uint8))
            ink.resize((64, 64), Image.Resampling.BICUBIC).save(partial)
            partial.replace(path)
        progress(number + 1, len(digits.images))
    return folder


def demo_settings(images: Path, system: str = "brainloop", seed: int = 0) -> tuple[Settings, str]:
    """Choose the demo's observer: real recordings where the shared folder is there, else the simulation.

    Returns
    -------
    settings : Settings
        Of the demo's study.
    who : str
        One line that says who looks.
    """
    chosen: dict[str, Any] = {"system": system, "seed": seed}
    shared = shared_folder()
    recordings = sorted(shared.glob("data/eeg/gtec-speller/*.fif")) if shared else []
    if recordings:
        who = (
            f"Who looks: real EEG, replayed. {len(recordings)} recordings of a P300 speller (8 channels) answer "
            "in place of a person who sees the digits."
        )
        paths = tuple(str(path) for path in recordings)
        return Settings(str(images), "3", recordings=paths, **ROUNDS, **chosen), who
    who = (
        "Who looks: a simulated person. Their EEG is synthetic, from P300 to blinks; real recordings are replayed "
        "where BRAINLOOP_SHARED names a folder of them."
    )
    return Settings(str(images), "3", **ROUNDS, **chosen), who
