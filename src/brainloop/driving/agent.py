"""Drivers: what they do in answer to what they observe."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brainloop._files import load_tensors, save_tensors
from brainloop._types import FloatArray, IntArray
from brainloop.driving.road import ACTIONS, LANE, LIMIT, N_OBSERVED, N_PEOPLE, OF_CAR, OF_PERSON, VIEW
from brainloop.errors import SettingsError, StudyError

__all__ = ["SCRIPTED", "Agent", "Driver", "load_driver"]

BRAKE, KEEP, ACCELERATE = range(len(ACTIONS))

Driver = Callable[[NDArray[np.float32]], IntArray]
"""From observations, shape (n, N_OBSERVED), to actions, shape (n,)."""


@dataclass(frozen=True, eq=False)
class Agent:
    """A trained driver: a small network of rectified layers, which takes the action that it finds best.

    Parameters
    ----------
    weights : tuple of (array of shape (n_in, n_out), array of shape (n_out,))
        Of each layer.
    facts : dict of str to str
        What made it.
    """

    weights: tuple[tuple[FloatArray, FloatArray], ...]
    facts: dict[str, str]

    def __call__(self, observations: NDArray[np.float32]) -> IntArray:
        """Give the actions for observations, shape (n, N_OBSERVED) -> (n,)."""
        values: FloatArray = np.asarray(observations, dtype=np.float64)
        for number, (weight, bias) in enumerate(self.weights):
            values = values @ weight + bias
            if number < len(self.weights) - 1:
                values = np.maximum(values, 0.0)
        return np.asarray(values.argmax(axis=1))

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all."""
        tensors = {
            f"{name}{number}": value
            for number, pair in enumerate(self.weights)
            for name, value in zip(("weight", "bias"), pair, strict=True)
        }
        save_tensors(path, tensors, {"driver": "agent", **self.facts})

    @classmethod
    def load(cls, path: Path) -> "Agent":
        """Read what `save` wrote; SettingsError if it is something else."""
        try:
            tensors, facts = load_tensors(path)
        except StudyError as error:
            raise SettingsError(f"expected a driver that `brainloop drive train` made: {path}: {error}") from error
        weights = tuple(
            (tensors[f"weight{number}"], tensors[f"bias{number}"])
            for number in range(len(tensors) // 2)
            if f"weight{number}" in tensors and f"bias{number}" in tensors
        )
        shapes = [weight.shape for weight, _ in weights]
        if facts.pop("driver", "") != "agent" or not weights or shapes[0][0] != N_OBSERVED:
            raise SettingsError(f"expected a driver that `brainloop drive train` made for this road, got {path}")
        return cls(weights, facts)


def _careless(observations: NDArray[np.float32]) -> IntArray:
    """Brake when somebody is right before the car, and never earlier."""
    return _scripted(observations, 0.6)


def _careful(observations: NDArray[np.float32]) -> IntArray:
    """Brake for whoever is on the road, or about to be."""
    return _scripted(observations, 2.8)


def _scripted(observations: NDArray[np.float32], seconds: float) -> IntArray:
    """Brake for what is on the roadway and less than so many seconds away."""
    speed = observations[:, :1] * LIMIT
    people = observations[:, 2:-OF_CAR].reshape(len(observations), N_PEOPLE, OF_PERSON)
    there, gap, y, walking = people[..., 0] > 0, people[..., 1] * VIEW, people[..., 3] * 5, people[..., 4] * 2
    towards = (walking != 0) & (np.sign(walking) * y < LANE / 2)
    on_road = there & ((np.abs(y) < LANE / 2) | towards) & (gap > 0)
    close = (on_road & (gap < 3 + speed * seconds)).any(axis=1)
    car = observations[:, -OF_CAR:]
    ahead, aside, closing = car[:, 1] * VIEW, car[:, 3] * 5, -car[:, 4] * LIMIT
    close |= (car[:, 0] > 0) & (ahead > -1) & (aside < LANE * 0.9) & (ahead < 3 + np.maximum(closing, 0) * seconds)
    return np.where(close, BRAKE, ACCELERATE)


SCRIPTED: dict[str, Driver] = {"careless": _careless, "careful": _careful}
"""Drivers that nobody trained."""


def load_driver(name: str) -> Driver:
    """Give a driver by its name in `SCRIPTED`, or from the file that `brainloop drive train` wrote.

    Raises
    ------
    SettingsError
        If there is none of that name.
    """
    if name in SCRIPTED:
        return SCRIPTED[name]
    if not Path(name).is_file():
        raise SettingsError(f"expected {', '.join(SCRIPTED)} or the file of a trained driver; {name!r} came")
    return Agent.load(Path(name))
