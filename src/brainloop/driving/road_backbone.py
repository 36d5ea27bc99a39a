"""The backbone of a reward model: a small network that learned from the car's own sensors where things are.

No recording, no person and no word of hazards has a part in it. It is to frames of this road what ImageNet's networks
are to photographs: trained once on a task whose answers cost nothing, then frozen.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from brainloop._types import FloatArray
from brainloop.driving.frames import drives
from brainloop.driving.road import LANE, N_PEOPLE, OF_CAR, OF_PERSON
from brainloop.driving.road_view import FRAME, RoadView
from brainloop.driving.scene import draw

__all__ = ["RoadBackbone", "train_backbone"]

N_FRAMES = 30_000
"""Frames with what the sensors said; 40 s of work."""

N_USUAL = 4_000
"""Of them, those from which is learned how the empty road looks."""

WIDTH, HIDDEN = 64, 256
"""Of the vector, and of the layer before it."""

EPOCHS, BATCH, RATE, DECAY = 15, 64, 2e-3, 1e-3
"""Passes, frames a step, highest learning rate of the cycle (Smith and Topin 2018, arXiv 1708.07120), weight decay."""

TAKEN = 0.3, 0.03
"""How often an instant is taken where somebody is on the road before the car, and elsewhere."""

TRAINED = 2**30
"""Seeds of its roads begin here; those below measure."""


@dataclass(frozen=True, eq=False)
class RoadBackbone:
    """From frames to vectors, frozen.

    Parameters
    ----------
    view : RoadView
        What stands out in a frame.
    centre, spread : array of shape (n_cells,)
        Mean and standard deviation of that over the training frames.
    layers : tuple of (array of shape (n_in, n_out), array of shape (n_out,))
        Weights of the rectified layers up to the vector.
    """

    view: RoadView
    centre: FloatArray
    spread: FloatArray
    layers: tuple[tuple[FloatArray, FloatArray], ...]

    def __call__(self, frames: NDArray[np.uint8]) -> FloatArray:
        """Embed frames, shape (n, 54, 96, 3) -> (n, WIDTH)."""
        values: FloatArray = (self.view(frames) - self.centre) / self.spread
        for weight, bias in self.layers:
            values = np.maximum(values @ weight + bias, 0.0)
        return values


def train_backbone(n_frames: int = N_FRAMES, *, seed: int = 0) -> RoadBackbone:
    """Train a network to read off a frame what the car's sensors say (`Roads.observe`), and freeze it.

    Parameters
    ----------
    n_frames : int
        Drawn from drives of the careless and the careful driver, and of one who explores at random.
    seed : int
        Of roads, drivers and first weights.
    """
    frames, observed = _drives(n_frames, seed)
    view = RoadView.fit(frames[:N_USUAL])
    cells = view(frames)
    centre, spread = cells.mean(axis=0), cells.std(axis=0) + 1e-3
    scaled = torch.as_tensor((cells - centre) / spread)
    wanted = torch.as_tensor(observed / (observed.std(axis=0) + 0.05))
    generator = torch.Generator().manual_seed(seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # one result, however many cores there are
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = torch.nn.Sequential(
                torch.nn.Linear(cells.shape[1], HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, WIDTH),
                torch.nn.ReLU(), torch.nn.Linear(WIDTH, observed.shape[1]),
            )  # fmt: skip
        steps = n_frames // BATCH
        optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=EPOCHS * steps)
        for _ in range(EPOCHS):
            for rows in torch.randperm(n_frames, generator=generator)[: steps * BATCH].view(steps, BATCH):
                loss = torch.nn.functional.mse_loss(network(scaled[rows]), wanted[rows])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                cycle.step()
    finally:
        torch.set_num_threads(threads)
    linear = [layer for layer in network if isinstance(layer, torch.nn.Linear)][:-1]
    layers = tuple((layer.weight.detach().numpy().T.copy(), layer.bias.detach().numpy().copy()) for layer in linear)
    return RoadBackbone(view, centre, spread, layers)


def _drives(n_frames: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Draw frames of drives, and what the sensors said."""
    rng = np.random.default_rng([10, seed])
    frames: list[NDArray[np.uint8]] = []
    observed: list[NDArray[np.float32]] = []
    for roads, step in drives(rng, TRAINED, 2 * TRAINED):
        if len(frames) >= n_frames:
            break
        often = np.where(_somebody_ahead(step.observation), *TAKEN)
        for road in np.flatnonzero((rng.random(len(often)) < often) & ~step.collided).tolist():
            frames.append(draw(roads.scene(road), FRAME))
            observed.append(step.observation[road])
    return np.stack(frames[:n_frames]), np.stack(observed[:n_frames])


def _somebody_ahead(observed: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say of which roads the sensors find somebody on the roadway, and near."""
    people = observed[:, 2:-OF_CAR].reshape(len(observed), N_PEOPLE, OF_PERSON)
    there, gap, y, walking = people[..., 0] > 0, people[..., 1], people[..., 3] * 5, people[..., 4]
    return np.asarray((there & (gap > 0) & (gap < 0.45) & ((np.abs(y) < LANE) | (walking != 0))).any(axis=1))
