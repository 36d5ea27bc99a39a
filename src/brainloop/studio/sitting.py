"""A sitting: one person, one recording, from the first block to the last."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np

from brainloop.calibration import Calibrated, is_enough, plan_calibration
from brainloop.classifier.measure import Auc
from brainloop.eeg.erp import ERP
from brainloop.eeg.headset import Headset
from brainloop.eeg.lsl import local_clock
from brainloop.eeg.recorder import Recorder
from brainloop.errors import BrainloopError, RecordingError, StoppedError, StudyError
from brainloop.observers.eeg_sense import EegSense
from brainloop.observers.keys import KeySense
from brainloop.observers.live import Live
from brainloop.presentation.block import Block
from brainloop.presentation.clock import ClockOffset, jump
from brainloop.presentation.markers import MarkerOutlet
from brainloop.presentation.screen import Screen, Shown
from brainloop.settings import Settings
from brainloop.store import PoolImage
from brainloop.studio import tasks
from brainloop.studio.monitor import Monitor
from brainloop.studio.page import PageScreen
from brainloop.studio.work import Work

__all__ = ["Sitting"]

TAIL = 1.5
"""Recorded after the last presentation of a block, s: the last epoch and the last press are complete."""


LEFT = (
    "You left while the store could not be reached: the last answers are in the recording alone, and their images "
    "will be asked about again."
)


class Sitting:
    """Record whatever a person looks at, and log what they saw, on disk and as LSL markers.

    Parameters
    ----------
    study : Path
        The study's folder.
    images : mapping of int to PoolImage
        The study's images by id.
    person : str
        Who looks.
    mode : {"headset", "keyboard", "both"}
        What answers.
    phase : {"calibration", "study"}
        What for.
    screen : Screen
        Where: the page, or a lab's own software.
    page : PageScreen
        What is told of rests, and knows the display's latency.
    markers : MarkerOutlet
        For a lab's own recorder.
    monitor : Monitor or None
        Of the headset; None for key presses alone.
    warn : callable
        Shows a text on the page.
    """

    def __init__(
        self,
        study: Path,
        images: Mapping[int, PoolImage],
        person: str,
        mode: str,
        phase: str,
        screen: Screen,
        page: PageScreen,
        markers: MarkerOutlet,
        monitor: Monitor | None,
        warn: Callable[[str], None],
    ) -> None:
        self.study, self.person, self.mode, self.phase = study, person, mode, phase
        self.name = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]
        self.folder = study / "people" / person / self.name
        self._screen, self._page, self._images, self._markers, self._monitor = screen, page, images, markers, monitor
        self._targets: frozenset[int] = frozenset()
        self._clock: ClockOffset | None = None
        self._clock_since = 0.0
        self._work: Work | None = None
        self._is_left = False
        self._warn = warn
        about = {"person": person, "session": self.name, "phase": phase, "mode": mode, "study": study.name}

        def record(headset: Headset | None) -> Recorder:
            recorder = Recorder(self.folder, about, headset)
            # Before the first sample: a filter that began later would differ from that of the recording.
            self._chunks = recorder.subscribe() if phase == "study" else None
            recorder.start()
            return recorder

        self.recorder = monitor.lend(record) if monitor else record(None)

    def close(self) -> None:
        """End the recording; what it holds is whole."""
        self.recorder.close()
        if self._monitor is not None:
            self._monitor.take_back()

    def log(self, block: Block, shown: Shown) -> None:
        """Write a presentation down and publish its marker."""
        clock = self._page.clock
        if clock is not None and clock != self._clock:  # of each block anew, and known with its first presentation
            self._take_clock(clock, shown.onset)
        image = block.images[shown.position]
        event = {
            "planned": shown.planned, "next": shown.next, "block": block.number, "position": shown.position,
            "image": self._images[image].path, "phase": self.phase,
            "looked_for": block.target, "target": image in self._targets if self.phase == "calibration" else None,
            "flaw": shown.flaw, "latency": self._page.latency,
        }  # fmt: skip
        self._markers.publish({"event": "presentation", "t": shown.onset, **event}, shown.onset)
        self.recorder.event("presentation", shown.onset, **event)

    def check(self) -> None:
        """Raise a RecordingError if the recording has failed, for example as the disk is full."""
        status = self.recorder.status
        if status.state == "failed":
            raise RecordingError(f"{status.error}. What was recorded until then is kept; mend it, and go on")

    def _take_clock(self, clock: ClockOffset, now: float) -> None:
        jumped = jump(self._clock, clock, now - self._clock_since) if self._clock else 0.0
        self.recorder.event("clock", now, offset=clock.offset, rtt=clock.rtt, jump=jumped)
        if jumped:
            self._warn(
                f"The page's clock jumped by {jumped:.3f} s between two blocks; onsets of the last one may be off."
            )
        self._clock, self._clock_since = clock, now

    def log_press(self, when: float) -> None:
        """Write a key press down and publish its marker."""
        self._markers.publish({"event": "press", "t": when}, when)
        self.recorder.event("press", when)

    def _begin(self, block: Block) -> None:
        self.recorder.event(
            "block", local_clock(), block=block.number, phase=self.phase, soa=block.soa, patch=self._page.patch
        )

    def calibrate(
        self,
        target: str,
        targets: frozenset[int],
        others: frozenset[int],
        settings: Settings,
        told: Callable[[int, int], None],
    ) -> None:
        """Show images of known answer until the AUC is known well enough, or for as long as calibration may take.

        Parameters
        ----------
        target : str
            What is looked for.
        targets, others : frozenset of int
            Ids of images whose answer is known.
        settings : Settings
            The study's: onset to onset, size of blocks, and the seed of their order.
        told : callable
            Called with seconds looked, and seconds at most.

        Raises
        ------
        StoppedError
            If the person stops.
        StudyError
            If there are too few images of a class.
        """
        self._targets = targets
        ids = [np.array(sorted(members), dtype=np.int64) for members in (targets, others)]
        size, soa = settings.block_size, settings.soa or 0.2
        plan = plan_calibration(*ids, block_size=size, soa=soa, seed=settings.seed)
        blocks = [replace(block, target=target) for block in plan]
        most = round(sum(block.seconds for block in blocks))
        check = _Check(self.study, self.folder, self.mode)
        looked = 0.0
        for block in blocks:
            told(round(looked), most)
            self._look(block)
            looked += block.seconds
            if check.enough or block is blocks[-1]:
                break
            check.begin(looked)
            self._page.rest("Calibration stops by itself, once it knows enough", looked / most)

    def _look(self, block: Block) -> None:
        """Show a block whose responses are decoded later, from the recording."""
        self._begin(block)
        showing = self._screen.show(block)
        deadline = float("inf")
        while local_clock() < deadline:
            self.check()
            happened = showing.poll(0.05)
            for shown in happened.shown:
                self.log(block, shown)
            for press in happened.presses:
                self.log_press(press)
            if happened.over and deadline == float("inf"):
                deadline = local_clock() + TAIL

    def watch(
        self, calibrated: Calibrated, told: Callable[..., None], done: Callable[[], float], station: str = "local"
    ) -> str | None:
        """Run the study's loop with whoever sits here.

        Parameters
        ----------
        calibrated : Calibrated
            Of this person.
        told : callable
            Called with the loop's messages (``progress``, ``show``, ``round``), and ``look`` after each response.
        done : callable
            Gives the share of the study that is done, for the bar between blocks.
        station : str
            Where they sit, of several that share the study.

        Returns
        -------
        str or None
            Why the study is over; None if the person stopped.

        Raises
        ------
        BrainloopError
            If recording, decoding or the loop fails; what was answered is kept.
        """
        eeg = keys = None
        if self.mode != "keyboard":
            chunks, info = self._chunks, self.recorder.info
            if calibrated.decoder is None or calibrated.preparation is None or chunks is None or info is None:
                raise StudyError(f"{self.person} has no decoder yet: calibrate with the headset first")
            eeg = EegSense(chunks, info, calibrated.preparation, calibrated.decoder)
        if self.mode != "headset":
            if calibrated.keys is None:
                raise StudyError(f"{self.person} has not calibrated the key yet: calibrate with the keyboard first")
            keys = KeySense(calibrated.keys)
        name = f"{self.person}/{self.name}"
        erps: dict[str, ERP] = {} if calibrated.erp is None else {name: calibrated.erp}
        live = Live(
            self._screen, eeg=eeg, keys=keys, log=self.log, log_press=self.log_press, check=self.check,
            person=self.person, session=self.name,
        )  # fmt: skip
        self._work = work = Work(tasks.run, self.study, _facts(calibrated.facts, name), erps, live.soa, station)
        try:
            for kind, *values in work.messages():
                if kind == "result":
                    return values[0] if values[0] is None else str(values[0])
                told(kind, *values)
                if kind == "show":
                    self._answer(live, work, *values, told=told, done=done)
        except BrainloopError as error:
            work.end()
            if self._is_left:
                raise StoppedError(LEFT) from error
            raise
        except BaseException:
            work.end()
            raise
        finally:
            if eeg is not None:
                eeg.close()
        return None

    def leave(self) -> None:
        """End the loop at once, though its store is away."""
        self._is_left = True
        if self._work is not None:
            self._work.end()

    def _answer(
        self,
        live: Live,
        work: Work,
        block: Block,
        start: int,
        *,
        told: Callable[..., None],
        done: Callable[[], float],
    ) -> None:
        self._begin(block)
        try:
            for position, response in enumerate(live.respond(block, start), start):
                work.send("response", response)
                self.recorder.event(
                    "response", local_clock(), block=block.number, position=position, evidence=response.evidence,
                    rejected=response.rejected, waited=live.waited.get(position),
                )  # fmt: skip
                told("look", response)
        except StoppedError as stopped:
            work.send("stopped", str(stopped))
        else:
            self._page.rest("The classifier learns from what you saw", done())


def _facts(facts: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Give what a report says of a person, in the words that it has for recordings."""
    about = {
        "name": name, "person": facts["person"], "channels": facts.get("channels", []), "sfreq": facts.get("sfreq"),
        "training_trials": facts.get("training_trials", facts["presentations"]), "calibration_s": facts["seconds"],
        "answering_trials": None, "rejected_share": None, "auc_calibration": facts["auc"],
        "auc_calibration_low": facts["low"], "auc": None,
    }  # fmt: skip
    return {"observer": "live", "mode": facts["mode"], "difficulty": 0.0, "recordings": [about]}


class _Check:
    """Looks, beside the running calibration, at how good it is by now."""

    def __init__(self, study: Path, folder: Path, mode: str) -> None:
        self._study, self._folder, self._mode = study, folder, mode
        self._busy = Event()
        self.enough = False

    def begin(self, looked: float) -> None:
        """Begin a look, unless one is going on or it is too early for one."""
        if self._busy.is_set() or not is_enough(Auc(1.0, 1.0, 1.0), looked):
            return
        self._busy.set()
        Thread(target=self._look, name="calibration check", daemon=True).start()

    def _look(self) -> None:
        try:
            facts = Work(tasks.calibrate, self._study, self._folder, self._mode, None).result()
            self.enough = is_enough(Auc(facts["auc"], facts["low"], facts["high"]), facts["seconds"])
        except BrainloopError:
            pass  # too little yet: the calibration goes on, and at its end says what is wrong
        finally:
            self._busy.clear()
