"""The road as Gymnasium environments: one at a time, and many at once.

Importing this module registers both as ``brainloop/PedestrianCrossing-v0``; since version 1, Gymnasium looks nowhere
else for environments. ``gymnasium.make("brainloop.driving.environment:brainloop/PedestrianCrossing-v0")`` imports it
by itself.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainloop._types import BoolArray, FloatArray, IntArray
from brainloop.driving.road import ACTIONS, DT, N_OBSERVED, Roads
from brainloop.driving.scene import draw
from brainloop.errors import MissingExtraError, SettingsError

try:
    import gymnasium
    from gymnasium.utils import seeding
    from gymnasium.vector import AutoresetMode, VectorEnv
    from gymnasium.vector.utils import batch_space
except ImportError as error:
    raise MissingExtraError("gymnasium", "driving", "an environment to learn to drive in", error) from error

__all__ = ["ID", "LONGEST", "PedestrianCrossing", "PedestrianCrossingVector"]

ID = "brainloop/PedestrianCrossing-v0"

LONGEST = 100.0
"""What the time to a collision is given as where there is none on this course, s."""

BOUND = 3.0
"""No observed value is larger."""

ROADS = 2**31
"""The road of an episode without a seed is drawn from so many."""


class PedestrianCrossing(gymnasium.Env[NDArray[np.float32], np.int64]):
    """A car on a road, where people step out and another car cuts in.

    The observation is `Roads.observe`'s, shape (N_OBSERVED,); an action is an index of `road.ACTIONS`: brake, keep the
    speed, accelerate. The reward is progress, 1 for a second at the limit, and `road.COLLISION` at one, which ends the
    episode; after 60 s it is truncated. ``info`` holds ``hazard`` (bool: the state is a conflict), ``collision``
    (bool), ``distance`` (m) and ``ttc`` (time to a collision on this course, s; at most `LONGEST`).

    ``reset(seed)`` gives the road of that seed, ``reset()`` another one, which follows from the last seed.

    Parameters
    ----------
    render_mode : {"rgb_array"}, optional
        What `render` gives: the driver's view.
    size : tuple of (int, int)
        Width and height of it, pixels.

    Raises
    ------
    SettingsError
        If there is no such mode.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": round(1 / DT)}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None, size: tuple[int, int] = (640, 360)) -> None:
        self.render_mode = _mode(render_mode)
        self.observation_space = gymnasium.spaces.Box(-BOUND, BOUND, (N_OBSERVED,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(len(ACTIONS))
        self._size = size
        self._roads = Roads(np.array([0]))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin on the road of the seed, or on another one; there are no options."""
        super().reset(seed=seed, options=options)
        road = int(self.np_random.integers(ROADS)) if seed is None else seed
        self._roads = Roads(np.array([road]))
        return self._roads.observe()[0], self._info()

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Drive on for `road.DT` seconds."""
        step = self._roads.step(np.array([action]))
        return step.observation[0], float(step.reward[0]), bool(step.collided[0]), bool(step.over[0]), self._info()

    def render(self) -> NDArray[np.uint8] | None:
        """Give the driver's view, shape (height, width, 3); None without a mode."""
        return None if self.render_mode is None else draw(self._roads.scene(0), self._size)

    def _info(self) -> dict[str, Any]:
        return {name: values[0].item() for name, values in _facts(self._roads).items()}


class PedestrianCrossingVector(VectorEnv[NDArray[np.float32], IntArray, NDArray[Any]]):
    """Many `PedestrianCrossing` at once, in one step of NumPy: each as it would be alone.

    A road that ended begins anew at the next step, whose action it ignores (``AutoresetMode.NEXT_STEP``).

    Parameters
    ----------
    num_envs : int
        How many, 1 or more.
    render_mode, size
        As in `PedestrianCrossing`; `render` gives one picture a road.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        **PedestrianCrossing.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP,
    }  # fmt: skip

    def __init__(self, num_envs: int = 1, render_mode: str | None = None, size: tuple[int, int] = (640, 360)) -> None:
        if num_envs < 1:
            raise SettingsError(f"expected 1 road or more, {num_envs} came")
        self.num_envs = num_envs
        self.render_mode = _mode(render_mode)
        self.single_observation_space = gymnasium.spaces.Box(-BOUND, BOUND, (N_OBSERVED,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(len(ACTIONS))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._size = size
        self._roads = Roads(np.zeros(num_envs, dtype=np.int64))
        self._ended: BoolArray = np.zeros(num_envs, dtype=bool)
        self._random = [seeding.np_random()[0] for _ in range(num_envs)]

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin anew everywhere: with the seeds, with the one and those that follow it, or on other roads."""
        super().reset(seed=seed if isinstance(seed, int) else None, options=options)
        if seed is None or isinstance(seed, int):
            seeds = [None if seed is None else seed + number for number in range(self.num_envs)]
        else:
            seeds = list(seed)
        if len(seeds) != self.num_envs:
            raise SettingsError(f"expected a seed for each of the {self.num_envs} roads, {len(seeds)} came")
        for number, one in enumerate(seeds):
            if one is not None:
                self._random[number] = seeding.np_random(one)[0]
        roads = [self._another(number) if one is None else one for number, one in enumerate(seeds)]
        self._roads = Roads(np.array(roads))
        self._ended = np.zeros(self.num_envs, dtype=bool)
        return self._roads.observe(), self._info()

    def step(self, actions: IntArray) -> tuple[NDArray[np.float32], FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Drive all on for `road.DT` seconds; those that had ended begin anew instead."""
        step = self._roads.step(np.asarray(actions))
        observation, fresh = step.observation, self._ended
        if fresh.any():
            seeds = np.zeros(self.num_envs, dtype=np.int64)
            seeds[fresh] = [self._another(int(number)) for number in np.flatnonzero(fresh)]
            self._roads.reset(fresh, seeds)
            observation = self._roads.observe()
        reward = np.where(fresh, 0.0, step.reward)
        collided, over = step.collided & ~fresh, step.over & ~fresh
        self._ended = collided | over
        return observation, reward, collided, over, self._info()

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Give each driver's view; None without a mode."""
        if self.render_mode is None:
            return None
        return tuple(draw(self._roads.scene(number), self._size) for number in range(self.num_envs))

    def _another(self, number: int) -> int:
        return int(self._random[number].integers(ROADS))

    def _info(self) -> dict[str, Any]:
        facts = _facts(self._roads)
        # Gymnasium's wrappers ask of every fact for which environments it holds.
        return facts | {f"_{name}": np.ones(self.num_envs, dtype=bool) for name in facts}


def _facts(roads: Roads) -> dict[str, NDArray[Any]]:
    """Give what ``info`` holds, each of shape (n,)."""
    return {
        "hazard": roads.hazard.copy(),
        "collision": roads.collided.copy(),
        "distance": roads.x.copy(),
        "ttc": np.minimum(roads.time_to_collision(), LONGEST),
    }


def _mode(render_mode: str | None) -> str | None:
    if render_mode not in (None, *PedestrianCrossing.metadata["render_modes"]):
        raise SettingsError(f"expected the render mode rgb_array or None, {render_mode!r} came")
    return render_mode


if ID not in gymnasium.registry:
    gymnasium.register(
        ID,
        entry_point="brainloop.driving.environment:PedestrianCrossing",
        vector_entry_point="brainloop.driving.environment:PedestrianCrossingVector",
    )
