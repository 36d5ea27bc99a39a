"""highway-env (Leurent 2018) as another road, with the same words in ``info``: `BrainReward` works on it unchanged."""

from typing import Any, TypeVar

import numpy as np

from brainloop.driving.environment import LONGEST
from brainloop.driving.road import HAZARD
from brainloop.errors import MissingExtraError, SettingsError

try:
    import gymnasium
    from highway_env.envs.common.abstract import AbstractEnv
except ImportError as error:
    raise MissingExtraError("highway_env", "highway", "an environment of highway-env", error) from error

__all__ = ["HighwayHazard"]

Observed = TypeVar("Observed")
Action = TypeVar("Action")

MARGIN = 0.5
"""To stop at before the vehicle ahead, m; `road.Roads` leaves as much."""


class HighwayHazard(gymnasium.Wrapper[Observed, Action, Observed, Action]):
    """Say of each state of an environment of highway-env whether it is a conflict.

    Adds to ``info`` ``hazard`` (bool: to avoid the vehicle ahead in its lane our car would have to brake by more than
    `road.HAZARD`, or it has crashed), ``collision`` (bool) and ``ttc`` (time to a collision with the vehicle ahead,
    s; at most `LONGEST`). Their names and meaning are those of `PedestrianCrossing`. Who comes from the side is not
    ahead, so no hazard before they are in our lane.

    highway-env decides once a second, and a hazard may be over by then: give its ``config`` a ``policy_frequency`` of 5
    or more.

    Parameters
    ----------
    env : gymnasium.Env
        Of highway-env, for example ``gymnasium.make("highway-v0", config={"policy_frequency": 5})``.

    Raises
    ------
    SettingsError
        If it is another one.
    """

    def __init__(self, env: gymnasium.Env[Observed, Action]) -> None:
        if not isinstance(env.unwrapped, AbstractEnv):
            raise SettingsError(f"expected an environment of highway-env, such as highway-v0; {env} came")
        super().__init__(env)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observed, dict[str, Any]]:
        """Begin anew."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, info | self._facts()

    def step(self, action: Action) -> tuple[Observed, float, bool, bool, dict[str, Any]]:
        """Drive on."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, float(reward), terminated, truncated, info | self._facts()

    def _facts(self) -> dict[str, Any]:
        inner: Any = self.unwrapped
        crashed = bool(inner.vehicle.crashed)
        gap, closing = _ahead(inner.road, inner.vehicle)
        needed = max(closing, 0.0) ** 2 / (2 * max(gap - MARGIN, 0.1))
        time = max(gap, 0.0) / closing if closing > 0 else np.inf
        return {
            "hazard": crashed or needed > HAZARD,
            "collision": crashed,
            "ttc": 0.0 if crashed else min(time, LONGEST),
        }


def _ahead(road: Any, vehicle: Any) -> tuple[float, float]:
    """Give the gap to the vehicle ahead in our lane, bumper to bumper, m, and how fast it closes, m/s."""
    other = road.neighbour_vehicles(vehicle)[0]
    if other is None:
        return np.inf, 0.0
    lane = vehicle.lane
    place = lane.local_coordinates(vehicle.position)[0]
    heading = lane.heading_at(place)
    along = np.array([np.cos(heading), np.sin(heading)])
    gap = vehicle.lane_distance_to(other) - (vehicle.LENGTH + other.LENGTH) / 2
    return float(gap), float(along @ (vehicle.velocity - other.velocity))
