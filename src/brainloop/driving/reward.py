"""Reward from a brain: what a watcher, or a model of one, adds to what an environment pays."""

from dataclasses import dataclass
from typing import Any, Protocol, SupportsFloat, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from brainloop._types import FloatArray
from brainloop.driving.road import DT
from brainloop.driving.watcher import Watcher
from brainloop.errors import MissingExtraError, SettingsError

try:
    import gymnasium
except ImportError as error:
    raise MissingExtraError("gymnasium", "driving", "a reward that holds a brain's term", error) from error

__all__ = ["PRIOR", "RESPONSE", "WEIGHT", "BrainReward", "Credit", "FrameModel", "Listener", "brain_term"]

PRIOR = 0.05
"""Probability of a hazard in one piece of evidence, before it is heard: about that of a driver who is learning."""

WEIGHT = 25.0
"""Of the brain's term: a hazard that is recognised with certainty costs a little more than a collision
(`road.COLLISION`)."""

RESPONSE = 0.5
"""The stretch that one response speaks of, s. Evidence of a shorter one counts for so much less: running EEG speaks ten
times a second, of windows that overlap."""

AFTER = 2.0
"""How long a watcher is waited for after the end of an episode, s: what they saw last is answered by then."""


@runtime_checkable
class FrameModel(Protocol):
    """What stands in for a watcher: a model that looks at frames, such as `RewardModel`."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames that it was made for, pixels."""
        ...

    def evidence(self, frames: NDArray[np.uint8]) -> FloatArray:
        """Predict the evidence, nats, that each frame of shape (n, height, width, 3) would evoke; shape (n,)."""
        ...


@dataclass(frozen=True)
class Credit:
    """A share of the brain's term, and the steps that earned it.

    Attributes
    ----------
    value : float
        Weight included; added to the reward of the step at which it became known.
    first, last : int
        The steps that it speaks of, counted back from that step: 0 is the step itself, `first` lies before `last`.
    """

    value: float
    first: int
    last: int


def brain_term(evidence: FloatArray | float) -> FloatArray:
    """Turn evidence of hazards, nats, into a term of the reward: the prior probability of a hazard minus the posterior.

    It is 0 on average where nothing was learned, so that neither a long nor a short episode is of advantage, and
    bounded, so that no response is worth more than a certain one.
    """
    return np.asarray(PRIOR - expit(np.asarray(evidence) + logit(PRIOR)))


class Listener:
    """Hear one watcher during one episode after another, and give each piece of evidence its steps.

    Parameters
    ----------
    watcher : Watcher
        Of one environment.
    weight : float
        Of the brain's term.
    step_s : float
        Time from one step of the agent to the next, s.
    """

    def __init__(self, watcher: Watcher, weight: float, step_s: float) -> None:
        self._watcher, self._weight, self._step_s = watcher, weight, step_s
        self.begin()

    def begin(self) -> None:
        """Begin an episode."""
        self._steps = 0
        self._watcher.begin()

    def see(self, time: float, hazard: bool) -> None:
        """Show the watcher the road, once a step or more often; `time` in s from the start of the episode."""
        self._watcher.see(time, hazard)

    def hear(self, time: float, ended: bool) -> list[Credit]:
        """Give what became known in the step that is over at `time`; after an episode's last, wait for what is to come.

        While that is waited for, the watcher sees what there was last, without a hazard.
        """
        self._steps += 1
        if ended:
            for late in range(1, round(AFTER / DT) + 1):
                self._watcher.see(time + late * DT, False)
        found = []
        for heard in self._watcher.heard():
            if heard.begin >= time:  # of what they saw while they were waited for
                continue
            # Step k ends at k * step_s; a stretch earns for the steps that it overlaps by half of one or more.
            back = [round((time - instant) / self._step_s) for instant in (heard.begin, heard.end)]
            first = min(max(back[0] - 1, back[1], 0), self._steps - 1)
            last = min(max(back[1], 0), first)
            share = round((heard.end - heard.begin) / RESPONSE, 6)
            found.append(Credit(self._weight * share * float(brain_term(heard.evidence)), first, last))
        return found


class BrainReward(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose reward holds what a brain says of it: reward + weight x `brain_term`.

    The brain is a person who watches, simulated or not, or a model that predicts their evidence from the frame and
    needs nobody (Zhuang et al. 2026, "Neuro-cognitive reward modeling", arXiv 2603.25968). A person's evidence comes
    late: it is added where it becomes known, and ``info["brain"]`` lists, as `Credit`, the steps that it speaks of. A
    replay buffer can still change the rewards of those steps: see `brainloop.driving.training.CreditedReplayBuffer`.

    Parameters
    ----------
    env : gymnasium.Env
        Its ``info`` has ``hazard`` (bool) where a person is simulated; for a model it renders ``rgb_array``.
    brain : Watcher or FrameModel
        Who judges.
    weight : float
        0 leaves the rewards as they are, exactly.
    step_s : float
        Time of a step, s.

    Raises
    ------
    SettingsError
        If the weight is negative, or a model's environment shows no frames.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], brain: Watcher | FrameModel, weight: float = WEIGHT, *, step_s: float = DT
    ) -> None:
        super().__init__(env)
        if not weight >= 0:
            raise SettingsError(f"expected a weight of 0 or more, got {weight}")
        self._model = brain if isinstance(brain, FrameModel) else None
        self._listener = None if isinstance(brain, FrameModel) else Listener(brain, weight, step_s)
        if self._model is not None and env.render_mode != "rgb_array":
            raise SettingsError(
                "a reward model looks at frames: make the environment with render_mode='rgb_array', not "
                f"{env.render_mode!r}"
            )
        self._weight, self._step_s, self._steps = weight, step_s, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; the watcher begins to watch it."""
        self._steps = 0
        if self._listener is not None:
            self._listener.begin()
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take a step; see `gymnasium.Env.step`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._steps += 1
        judged: list[Credit] = []
        if self._model is not None:
            judged = [Credit(self._judge_frame(self._model), 0, 0)]
        elif self._listener is not None:
            time = self._steps * self._step_s
            self._listener.see(time, bool(info.get("hazard", False)))
            judged = self._listener.hear(time, terminated or truncated)
        info["brain"] = judged
        return observation, float(reward) + sum(credit.value for credit in judged), terminated, truncated, info

    def _judge_frame(self, model: FrameModel) -> float:
        frame = np.asarray(self.env.render(), dtype=np.uint8)
        if frame.shape[1::-1] != model.size:
            wide, tall = model.size
            raise SettingsError(
                f"this reward model was made for frames of {wide} x {tall} pixels, got {frame.shape[1]} x "
                f"{frame.shape[0]}: make the environment with size=({wide}, {tall}), or resize what it renders"
            )
        return self._weight * self._step_s / RESPONSE * float(brain_term(model.evidence(frame[None]))[0])
