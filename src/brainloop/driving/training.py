"""Training drivers by reinforcement learning: many roads at once, and a brain's late evidence put where it belongs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brainloop._types import BoolArray, FloatArray, IntArray, Progress, no_progress
from brainloop.driving.agent import Agent, Driver
from brainloop.driving.reward import PRIOR, RESPONSE, FrameModel, Listener, brain_term
from brainloop.driving.road import ACTIONS, DT, LIMIT, N_OBSERVED, SECONDS, Roads
from brainloop.driving.scene import draw
from brainloop.driving.watchers import SimulatedWatcher
from brainloop.errors import MissingExtraError, SettingsError

try:
    import gymnasium
    import torch
    from stable_baselines3 import DQN
    from stable_baselines3.common.buffers import ReplayBuffer
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as error:
    raise MissingExtraError("stable_baselines3", "driving", "training a driver", error) from error

__all__ = ["REWARDS", "STEPS", "CreditedReplayBuffer", "Evaluation", "Tracks", "evaluate", "train"]

REWARDS: dict[str, float] = {"plain": 0.0, "brain": 25.0, "random": 25.0, "model": 8.0, "oracle": 2.0, "ttc": 2.0}
"""What there is to learn from, and the weight of each's term, chosen on roads and seeds that no figure is from:

``plain``   progress and collisions alone
``brain``   a simulated person who watches (`SimulatedWatcher`)
``random``  the same person, who watches another car's road: evidence of the same kind that says nothing
``model``   a model that looks at the frame
``oracle``  the truth about hazards, at once: a brain that never errs
``ttc``     the time to a collision, without a brain: 0 from `TTC` s on, the whole weight at none (shaping by hand)
"""

STEPS = 140_000
"""Decisions of a training, all roads together: 16 hours of driving."""

HOLD = 4
"""Steps of the road that a decision holds, as frames are skipped for Atari's games (Mnih et al. 2015, Nature 518): to
brake for .4 s tells what braking does, for .1 s hardly."""

TTC = 3.0
"""Time to a collision below which shaping begins, s."""

N_ROADS = 32
"""Driven at a time."""

TRAINED = 2**30
"""Seeds of roads that agents and models train on begin here; those below measure."""

AVERAGED = 0.005
"""Share of the newest weights in the average, a decision of every road: it remembers about 6,000 decisions."""

NETWORK: dict[str, Any] = {
    "learning_rate": 5e-4, "buffer_size": 200_000, "learning_starts": 2_000, "batch_size": 256, "gamma": 0.95,
    "train_freq": 1, "gradient_steps": 8, "target_update_interval": 1_000, "exploration_fraction": 0.2,
    "exploration_final_eps": 0.03,
}  # fmt: skip
"""Of DQN (Mnih et al. 2015), chosen for `plain` and the same for all: gamma .95 a decision looks 8 s ahead."""


class Tracks(VecEnv):
    """Roads as Stable-Baselines3 takes them, all in one step of NumPy; a step is a decision, held for `HOLD` of theirs.

    ``info["brain"]`` lists the brain's `Credit` of each road, whose values the rewards hold already.

    Parameters
    ----------
    reward : str
        In `REWARDS`.
    weight : float
        Of its term.
    seed : int
        Of the roads and the watchers.
    model : FrameModel, optional
        Of ``model``.
    """

    def __init__(self, reward: str, weight: float, seed: int, model: FrameModel | None = None) -> None:
        self._reward, self._weight, self._model = reward, weight, model
        self._rng = np.random.default_rng([5, seed])
        self._roads = Roads(self._new_roads())
        self._listeners = [
            Listener(SimulatedWatcher(seed=N_ROADS * seed + number), weight, HOLD * DT)
            for number in range(N_ROADS if reward in ("brain", "random") else 0)
        ]
        space = gymnasium.spaces.Box(-np.inf, np.inf, (N_OBSERVED,), np.float32)
        super().__init__(N_ROADS, space, gymnasium.spaces.Discrete(len(ACTIONS)))

    def reset(self) -> Any:
        """Give the first observations."""
        return self._roads.observe()

    def step_async(self, actions: IntArray) -> None:
        """Take the decisions."""
        self._actions = actions

    def step_wait(self) -> Any:
        """Drive until the next decision; a road whose drive is over is followed by another."""
        reward = np.zeros(N_ROADS)
        collided, over = np.zeros(N_ROADS, dtype=bool), np.zeros(N_ROADS, dtype=bool)
        time, last = self._roads.time, self._roads.observe()
        for _ in range(HOLD):
            live = ~(collided | over)
            step = self._roads.step(self._actions)
            reward += np.where(live, step.reward + self._at_once(step.hazard), 0.0)
            collided |= step.collided & live
            over |= step.over & live
            time, last = np.where(live, self._roads.time, time), np.where(live[:, None], step.observation, last)
            self._show(time, step.hazard, live)
        if self._model is not None:
            frames = np.stack([draw(self._roads.scene(road), self._model.size) for road in range(N_ROADS)])
            reward += self._weight * HOLD * DT / RESPONSE * brain_term(self._model.evidence(frames))
        done = collided | over
        infos: list[dict[str, Any]] = [{} for _ in range(N_ROADS)]
        for road, listener in enumerate(self._listeners):
            heard = listener.hear(float(time[road]), bool(done[road]))
            reward[road] += sum(credit.value for credit in heard)
            infos[road]["brain"] = heard
            if done[road]:
                listener.begin()
        for road in np.flatnonzero(done).tolist():
            infos[road] |= {"terminal_observation": last[road], "TimeLimit.truncated": bool(over[road])}
        if done.any():
            self._roads.reset(done, self._new_roads())
        return self._roads.observe(), reward.astype(np.float32), done, infos

    def _at_once(self, hazard: BoolArray) -> FloatArray:
        """Give the term of those who know at once, a step of the road."""
        if self._reward == "oracle":
            return np.asarray(self._weight * DT / RESPONSE * (PRIOR - hazard))
        if self._reward == "ttc":
            return np.asarray(-self._weight * DT / RESPONSE * np.clip(1 - self._roads.time_to_collision() / TTC, 0, 1))
        return np.zeros(N_ROADS)

    def _show(self, time: FloatArray, hazard: BoolArray, live: BoolArray) -> None:
        seen = np.roll(hazard, 1) if self._reward == "random" else hazard
        for listener, now, one, watched in zip(
            self._listeners, time.tolist(), seen.tolist(), live.tolist(), strict=False
        ):
            if watched:
                listener.see(now, one)

    def _new_roads(self) -> IntArray:
        return np.asarray(self._rng.integers(TRAINED, 2 * TRAINED, N_ROADS))

    # What else Stable-Baselines3 may ask of environments; these have nothing of it.

    def close(self) -> None:
        """Nothing to close."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:  # noqa: ARG002
        """Give the same attribute for every road."""
        return [getattr(self, attr_name, None)] * N_ROADS

    def set_attr(self, attr_name: str, *_: Any, **__: Any) -> None:
        """Refuse: there is nothing to set."""
        raise SettingsError(f"these roads have no attribute {attr_name!r} that could be set")

    def env_method(self, method_name: str, *_: Any, **__: Any) -> list[Any]:
        """Refuse: there are no methods of a single road."""
        raise SettingsError(f"these roads have no method {method_name!r}")

    def env_is_wrapped(self, *_: Any, **__: Any) -> list[bool]:
        """Say that no road is wrapped."""
        return [False] * N_ROADS


class CreditedReplayBuffer(ReplayBuffer):
    """A replay buffer that moves a brain's late term to the steps that it speaks of, in equal shares.

    It is for any environment whose ``info`` has the `Credit` list of `BrainReward`.
    """

    def add(self, obs: Any, next_obs: Any, action: Any, reward: Any, done: Any, infos: list[dict[str, Any]]) -> None:
        """Store a step of each environment, and change the rewards of those before it."""
        row = self.pos
        super().add(obs, next_obs, action, reward, done, infos)
        for column, info in enumerate(infos):
            for credit in info.get("brain", ()):
                self.rewards[row, column] -= credit.value
                back = np.arange(credit.last, credit.first + 1)
                self.rewards[(row - back) % self.buffer_size, column] += credit.value / len(back)


@dataclass(frozen=True)
class Evaluation:
    """How a driver drives on roads that no training has seen.

    Attributes
    ----------
    roads : int
        How many.
    collisions : float
        Share of the drives that end in one.
    progress : float
        Distance in 60 s, as a share of what the limit allows; what a collision leaves of the time counts as standing.
    speed : float
        Mean speed for as long as the drives last, as a share of the limit.
    """

    roads: int
    collisions: float
    progress: float
    speed: float


def evaluate(driver: Driver, seeds: Sequence[int] = range(200)) -> Evaluation:
    """Drive each of these roads once, deciding every `DT`."""
    roads = Roads(np.asarray(seeds))
    n = len(seeds)
    live, collided = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    distance, time = np.zeros(n), np.zeros(n)
    observations = roads.observe()
    while live.any():
        step = roads.step(driver(observations))
        observations = step.observation
        distance, time = np.where(live, roads.x, distance), np.where(live, roads.time, time)
        collided |= live & step.collided
        live &= ~(step.collided | step.over)
    return Evaluation(
        n,
        float(collided.mean()),
        float(distance.mean() / (LIMIT * SECONDS)),
        float(distance.sum() / time.sum() / LIMIT),
    )


def train(
    reward: str,
    *,
    seed: int = 0,
    steps: int = STEPS,
    weight: float | None = None,
    study: Path | None = None,
    model: FrameModel | None = None,
    seen: Mapping[int, Callable[[Agent], None]] | None = None,
    progress: Progress = no_progress,
) -> Agent:
    """Train a driver by DQN.

    Parameters
    ----------
    reward : str
        In `REWARDS`.
    seed : int
        Of roads, watchers, first weights and exploration.
    steps : int
        Decisions.
    weight : float, optional
        Of the term beside progress and collisions; that of `REWARDS` by default.
    study : Path, optional
        Of ``model``: a study that looked for hazards among frames. One is trained by our own loop where it is left out.
    model : FrameModel, optional
        In its place, a model in memory.
    seen : mapping of int to callable, optional
        What to call with the driver as it is after so many steps.
    progress : Progress
        Called with (steps, steps in all); with (looks, looks in all) while a reward model learns.

    Raises
    ------
    SettingsError
        If there is no such reward, or a study is given where none is used.
    """
    if reward not in REWARDS:
        raise SettingsError(f"reward: expected one of {', '.join(REWARDS)}; {reward!r} came")
    if reward != "model" and not (study is None and model is None):
        raise SettingsError(f"a study is what a reward model comes from; reward {reward!r} uses none")
    if reward == "model" and model is None:
        from brainloop.driving.reward_model import RewardModel, learn_hazards
        from brainloop.study import Study

        model = (
            learn_hazards(seed=seed, progress=progress).model if study is None else RewardModel.of(Study.open(study))
        )
    weight = REWARDS[reward] if weight is None else weight
    if not weight >= 0:
        raise SettingsError(f"expected a weight of 0 or more, got {weight}")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the networks are small, and one result must not depend on the cores
    try:
        learner = DQN(
            "MlpPolicy", Tracks(reward, weight, seed, model), seed=seed, device="cpu",
            policy_kwargs={"net_arch": [64, 64]}, replay_buffer_class=CreditedReplayBuffer, **NETWORK,
        )  # fmt: skip
        watch = _Watch(
            {"reward": reward, "weight": f"{weight:g}", "seed": str(seed), "steps": str(steps)},
            dict(seen or {}), steps, progress,
        )  # fmt: skip
        learner.learn(steps, callback=watch)
    finally:
        torch.set_num_threads(threads)
    return watch.agent()


class _Watch(BaseCallback):
    """Average a network over the last of its training, tell how far that has come, and show it to whoever wants to see.

    Deciding by the averaged weights takes away most of what one noisy batch or another does to a driver (Polyak and
    Juditsky 1992, SIAM J. Control Optim. 30).
    """

    def __init__(
        self, facts: dict[str, str], seen: dict[int, Callable[[Agent], None]], steps: int, progress: Progress
    ) -> None:
        super().__init__()
        self._facts, self._seen, self._steps, self._progress = facts, seen, steps, progress
        self._mean: list[FloatArray] = []

    def _on_step(self) -> bool:
        learner: Any = self.model
        now = [parameter.detach().numpy() for parameter in learner.policy.q_net.parameters()]
        self._mean = self._mean or [values.astype(np.float64) for values in now]
        for mean, values in zip(self._mean, now, strict=True):
            mean += AVERAGED * (values - mean)
        for due in [at for at in self._seen if at <= self.num_timesteps]:
            self._seen.pop(due)(self.agent())
        if self.num_timesteps % (100 * N_ROADS) == 0:
            self._progress(self.num_timesteps, self._steps)
        return True

    def agent(self) -> Agent:
        """Give the driver as it is by now."""
        weights = [values.T.copy() for values in self._mean]  # of layer after layer: its weight, its bias
        return Agent(tuple(zip(weights[::2], weights[1::2], strict=True)), dict(self._facts))
