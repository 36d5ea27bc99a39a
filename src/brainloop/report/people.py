"""People beside each other: what each looked at, how well they tell targets apart, what their looks count, and when."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from brainloop.study import Study
from brainloop.uses.trust import trust

__all__ = ["LITTLE", "PersonFindings", "Stretch", "clock_time", "people_findings"]

LITTLE = 0.5
"""A weight below which somebody is pointed out: their looks say less than half of what calibration promised."""


@dataclass(frozen=True)
class Stretch:
    """Some of a person's looks, one after the other.

    Parameters
    ----------
    begin, end : float or None
        When the first and the last of them came, by the store's clock, Unix time, s; None where nobody wrote it down.
    looks : int
        Usable ones.
    weight : float
        What their evidence counts for, as a share of what calibration promised.
    auc : float or None
        How well single looks tell targets from others; None where nothing else says which are targets.
    """

    begin: float | None
    end: float | None
    looks: int
    weight: float
    auc: float | None


@dataclass(frozen=True)
class PersonFindings:
    """One person of a study.

    Parameters
    ----------
    name : str
        As they gave it.
    looks, rejected : int
        Presentations that they answered, and those of them whose epoch was rejected.
    auc, auc_low, auc_high : float or None
        Of single looks against what the others and the classifier say of the same images, and its 95 % interval.
    weight : float
        What their evidence counts for by now, as a share of what calibration promised.
    stations : tuple of str
        Where they looked.
    seen : float or None
        When their last look came, by the store's clock, Unix time, s.
    stretches : tuple of Stretch
        Over their time, in order.
    """

    name: str
    looks: int
    rejected: int
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    weight: float
    stations: tuple[str, ...]
    seen: float | None
    stretches: tuple[Stretch, ...] = ()

    @property
    def warning(self) -> str | None:
        """What is to be said of whoever counts for little by now; None of others."""
        if not self.stretches or self.stretches[-1].weight >= LITTLE:
            return None
        first = len(self.stretches)
        while first and self.stretches[first - 1].weight < LITTLE:
            first -= 1
        last, since = self.stretches[-1], self.stretches[first].begin
        words = f"{self.name} counts for {_share(last.weight)} of what calibration promised"
        return words if since is None else f"{words} since {clock_time(since)}"


def people_findings(study: Study, last_round: int | None = None) -> list[PersonFindings]:
    """List whoever looked, by name, with what each came to.

    Parameters
    ----------
    study : Study
        Whose.
    last_round : int, optional
        The last round whose looks count; all by default.
    """
    looks = study.store.looks()
    counted = np.ones(looks.image.size, dtype=bool) if last_round is None else looks.round <= last_round
    names = np.array(looks.person, dtype=object)
    found, people = [], sorted(set(names[counted]) - {""})
    judged = trust(study, study.data(), last_round).people if len(people) > 1 else ()
    said = {one.person: one for one in judged}
    for name in people:
        own = np.flatnonzero(counted & (names == name))
        times = looks.at[own]
        about = said.get(name)
        found.append(
            PersonFindings(
                name=name,
                looks=own.size,
                rejected=sum(looks.rejected[k] is not None for k in own),
                auc=None if about is None else _number(about.auc),
                auc_low=None if about is None else _number(about.auc_low),
                auc_high=None if about is None else _number(about.auc_high),
                weight=1.0 if about is None else about.weight,
                stations=tuple(sorted({looks.station[k] for k in own})),
                seen=float(np.nanmax(times)) if np.isfinite(times).any() else None,
                stretches=() if about is None else tuple(
                    Stretch(_number(one.begin), _number(one.end), one.looks, one.weight, _number(one.auc))
                    for one in about.stretches
                ),
            )
        )  # fmt: skip
    return found


def clock_time(at: float) -> str:
    """Write a time as the clock of this machine shows it, with the day if that is not today's."""
    then = datetime.fromtimestamp(at, UTC).astimezone()
    return f"{then:%H:%M}" if then.date() == datetime.now(UTC).astimezone().date() else f"{then:%Y-%m-%d %H:%M}"


def _share(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
