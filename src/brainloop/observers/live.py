"""A person who looks now: through the headset, through a key, or both at once, as evidence adds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from brainloop.eeg.erp import ERP
from brainloop.errors import StudyError
from brainloop.observers.eeg_sense import EegAnswer, EegSense
from brainloop.observers.keys import KeySense
from brainloop.presentation.block import Block, Response
from brainloop.presentation.screen import Screen, Shown

__all__ = ["Live"]

POLL = 0.02
"""How often answers are asked for while nothing happens on the screen, s."""


class Live:
    """An observer who sits before a screen.

    Parameters
    ----------
    screen : Screen
        Where blocks are shown.
    eeg : EegSense, optional
        What the brain answers.
    keys : KeySense, optional
        What the key answers. With both, their evidence adds; a rejected epoch leaves the key's.
    log : callable
        Told of each presentation, as (block, shown), the moment that the screen reports it.
    log_press : callable
        Told of each press, s.
    check : callable
        Called again and again while a block is shown; raises what shall end it, such as a recording that failed.
    soa : float
        Onset to onset, s.
    person, session : str
        Who looks, and the recording it goes to.
    facts : dict
        What a report should say of this observer.
    erps : mapping of str to ERP
        Mean responses in calibration.

    Attributes
    ----------
    waited : dict of int to float
        For each position of the block, how long its evidence took from the arrival of the epoch's last sample, s.

    Raises
    ------
    StudyError
        If there is nothing to answer with.
    """

    def __init__(
        self,
        screen: Screen,
        *,
        eeg: EegSense | None = None,
        keys: KeySense | None = None,
        log: Callable[[Block, Shown], None] = lambda _block, _shown: None,
        log_press: Callable[[float], None] = lambda _when: None,
        check: Callable[[], None] = lambda: None,
        soa: float = 0.2,
        person: str,
        session: str,
        facts: dict[str, Any] | None = None,
        erps: Mapping[str, ERP] | None = None,
    ) -> None:
        if eeg is None and keys is None:
            raise StudyError("expected a headset, a key or both to answer with, got neither; calibrate one first")
        self.soa = soa
        self.facts = facts or {}
        self.waited: dict[int, float] = {}
        self._screen, self._eeg, self._keys = screen, eeg, keys
        self._log, self._log_press, self._check = log, log_press, check
        self._person, self._session = person, session
        self._erps = dict(erps or {})

    def respond(self, block: Block, start: int = 0) -> Iterator[Response]:
        """Show a block and give each response as soon as all that belongs to it is known; see `Observer.respond`.

        Raises
        ------
        StoppedError
            If the person stops; responses given before stand.
        """
        showing = self._screen.show(block, start)
        if self._eeg:
            self._eeg.begin()
        if self._keys:
            self._keys.begin()
        self.waited.clear()
        shown: dict[int, Shown] = {}
        brain: dict[int, EegAnswer] = {}
        key: dict[int, float] = {}
        position = start
        while position < len(block.images):
            self._check()
            happened = showing.poll(POLL)
            for one in happened.shown:
                shown[one.position] = one
                self._log(block, one)
                if self._eeg and one.flaw is None:
                    self._eeg.shown(one.position, one.onset)
                # The key has something to say of every image that was seen, however late it came.
                if self._keys and one.flaw != "missed":
                    self._keys.shown(one.position, one.onset)
            for when in happened.presses:
                self._log_press(when)
                if self._keys:
                    self._keys.press(when)
            if self._eeg:
                for answer in self._eeg.answers():
                    brain[answer.position] = answer
                    self.waited[answer.position] = answer.waited
            if self._keys:
                key.update(self._keys.answers(happened.until))
            while position < len(block.images) and self._is_known(position, shown, brain, key):
                yield self._response(block, shown[position], shown[min(shown)], brain, key)
                position += 1

    def recall(self, blocks: Sequence[Block]) -> None:
        """Nothing to recall: a person remembers by themselves."""

    def erps(self) -> dict[str, ERP]:
        """Mean responses in calibration."""
        return self._erps

    def _is_known(
        self, position: int, shown: Mapping[int, Shown], brain: Mapping[int, EegAnswer], key: Mapping[int, float]
    ) -> bool:
        if position not in shown:
            return False
        if shown[position].flaw is not None:
            return True
        return (self._eeg is None or position in brain) and (self._keys is None or position in key)

    def _response(
        self,
        block: Block,
        shown: Shown,
        first: Shown,
        brain: Mapping[int, EegAnswer],
        key: Mapping[int, float],
    ) -> Response:
        rejected, score, evidence = shown.flaw, float("nan"), 0.0
        if rejected is None:
            if (answer := brain.get(shown.position)) is not None:
                score, evidence, rejected = answer.score, answer.evidence, answer.rejected
            if shown.position in key:
                evidence, rejected = evidence + key[shown.position], None
                score = key[shown.position] if self._eeg is None else score
        return Response(
            score=score,
            evidence=evidence,
            rejected=rejected,
            onset=shown.onset - first.onset,
            source=f"{self._person}/{self._session}#{block.number}.{shown.position}",
            person=self._person,
            session=self._session,
        )
