"""What the studio does: a study, a headset, a person, and what they are at."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any

from brainloop.errors import BrainloopError, SettingsError, StoppedError, StudyError
from brainloop.studio.activity import Activity
from brainloop.studio.creation import studies_in
from brainloop.studio.driving import Driving
from brainloop.studio.stage import Stage
from brainloop.studio.state import state_of
from brainloop.studio.watched import Watched

if TYPE_CHECKING:
    from brainloop.studio.opened import Opened

__all__ = ["Session"]

MODES = ("headset", "keyboard", "both")
"""What may answer."""


class Session:
    """The one session of a studio; its methods may be called from any thread.

    Parameters
    ----------
    home : Path
        The folder that new studies are made in.
    study : Path, optional
        A study to open at once.
    markers : str, optional
        Name or source id of the marker stream of a lab's own presentation software, in place of the page.
    station : str, optional
        This station's name, in studies that stations share; that of the machine by default.

    Attributes
    ----------
    activity : Activity
        What is going on.
    stage : Stage
        Where somebody sits: screen and headset.
    driving : Driving
        The drive that somebody watches.
    opened : Opened or None
        The study that is open.
    studies : list of dict
        Those of the home folder.
    person : str or None
        Who sits there.
    mode : {"headset", "keyboard", "both"}
        What is to answer.
    calibration : dict or None
        That person's, as the page shows it.
    watched : Watched or None
        How the looking goes, or went last.
    """

    def __init__(
        self, home: Path, study: Path | None = None, markers: str | None = None, station: str | None = None
    ) -> None:
        self.home = home.resolve()
        self.activity = Activity()
        self.stage = Stage(self.home, self.activity, markers)
        self.driving = Driving(self.home, self.activity, self.stage, self._person_folder)
        self.opened: Opened | None = None
        self.studies = studies_in(self.home)
        self.person: str | None = None
        self.mode = "headset"
        self.calibration: dict[str, Any] | None = None
        self.watched: Watched | None = None
        self._station = station
        self._lock = RLock()
        self._embedding = Thread()
        if study is not None:
            self.open_study(study)

    # What the page is told

    def state(self) -> dict[str, Any]:
        """Give all that the page shows, ready for JSON."""
        with self._lock:
            return state_of(self)

    def traces(self) -> dict[str, Any] | None:
        """Give the newest samples of the headset, for drawing; None without one."""
        return self.stage.monitor.traces() if self.stage.monitor else None

    # Studies

    def create_study(self, values: Mapping[str, Any]) -> None:
        """Make a study in the home folder, and open it; see `brainloop.studio.creation.create`.

        Raises
        ------
        SettingsError, StudyError, ImageError, AnnotationError
            If a value is missing or wrong, there is one already, or images or annotations cannot be used.
        """
        from brainloop.studio.creation import create

        self.activity.must_be_idle()
        with self.activity.preparing("scanning the images") as progress:
            study = create(self.home, values, progress)
            study.store.close()
        self.open_study(study.folder)

    def open_study(self, folder: Path | str) -> None:
        """Open a study, and embed its images meanwhile; StudyError if there is none."""
        from brainloop.studio.opened import Opened
        from brainloop.study import Study

        self.activity.must_be_idle()
        opened = Opened(Study.open(self.home / folder), self._station, self._hear_of_stations)
        self.close_study()
        with self._lock:
            self.opened = opened
            self.studies = studies_in(self.home)
            if (only := opened.only_person) is not None:
                self._seat(only)
        self.activity.touch()
        self._embedding = Thread(target=self._prepare, args=(opened,), name="embedding", daemon=True)
        self._embedding.start()

    def close_study(self) -> None:
        """Close the study; all of it is on disk."""
        self.activity.must_be_idle()
        with self._lock:
            if self.opened is not None:
                self.opened.close()
            self.opened = self.person = self.calibration = self.watched = None
        self.activity.touch()

    def must_be_open(self) -> "Opened":
        """Give the study that is open; StudyError if none is."""
        if self.opened is None:
            raise StudyError("no study is open; create or open one first")
        return self.opened

    def set_examples(self, target: str | None, targets: list[int], others: list[int]) -> None:
        """Take images as known examples of a target, the study's own by default; see `Opened.set_examples`."""
        opened = self.must_be_open()
        opened.set_examples(target or opened.known.targets[0], targets, others, self.person or "")
        self.activity.touch()

    def correct(self, image: int, target: str | None, is_target: bool | None) -> None:
        """Take a person's word on an image, of the study's own target by default; see `Opened.correct`."""
        opened = self.must_be_open()
        opened.correct(image, target or opened.known.targets[0], is_target, self.person or "")
        self.activity.touch()

    def results(self) -> dict[str, Any]:
        """Give what the results page draws."""
        return self.must_be_open().results.curves(self.calibration)

    def people(self) -> list[dict[str, Any]]:
        """Give who looked, and what each came to; see `Opened.people`."""
        return self.must_be_open().people(self.activity.work)

    def fusion(self) -> list[dict[str, Any]]:
        """Give what classifier and brain say together, of each target; see `Opened.fusion`."""
        return self.must_be_open().fusion(self.activity.work) if self.activity.name == "idle" else []

    def export(self, what: list[str], force: bool) -> list[tuple[Path, str | None]]:
        """Write exports into the study's folder, in place of what is there only if told `force`; list them all."""
        from brainloop.studio import tasks

        opened = self.must_be_open()
        with self.activity.preparing("writing the export"):
            self.activity.work(tasks.export_study, opened.study.folder, what, force)
        return opened.exports()

    # People

    def set_person(self, name: str, consent: bool, no_epilepsy: bool) -> None:
        """Seat a person; one who is not known yet must consent first.

        Raises
        ------
        SettingsError
            If the name is no name, or consent or the confirmation is missing.
        """
        from brainloop.people import consent as agree

        opened = self.must_be_open()
        self.activity.must_be_idle()
        if name not in [one["name"] for one in opened.known.people if one["consented"]]:
            agree(opened.study, name, consent=consent, no_epilepsy=no_epilepsy)
        with self._lock:
            opened.refresh()
            self._seat(name)
        self.activity.touch()

    def forget_person(self, name: str) -> list[tuple[str, str]]:
        """Erase a person, and give what went."""
        from brainloop.studio import tasks

        self.activity.must_be_idle()
        opened = self.must_be_open()
        self._embedding.join()
        with self.activity.preparing("erasing"):
            opened.study.store.close()
            went: list[tuple[str, str]] = self.activity.work(tasks.erase, opened.study.folder, name)
        with self._lock:
            if self.person == name:
                self.person = self.calibration = self.watched = None
            opened.refresh()
        self.activity.touch()
        return went

    # The headset

    def list_headsets(self) -> list[dict[str, Any]]:
        """Listen for headsets for a second."""
        from brainloop.eeg.headset import find_headsets
        from brainloop.studio.plain import plain

        return [plain(info) for info in find_headsets()]

    def connect_headset(self, name: str) -> None:
        """Open a headset and look at its signal; nothing is written down yet."""
        self.activity.must_be_idle()
        self.stage.connect(name)

    def disconnect_headset(self) -> None:
        """Let go of the headset."""
        self.activity.must_be_idle()
        self.stage.disconnect()

    def set_mode(self, mode: str) -> None:
        """Say what is to answer: headset, keyboard or both."""
        self.activity.must_be_idle()
        if mode not in MODES:
            raise SettingsError(f"expected one of {', '.join(MODES)}, got {mode!r}")
        with self._lock:
            self.mode = mode
            if self.person is not None:
                self._seat(self.person)
        self.activity.touch()

    def set_patch(self, on: bool) -> None:
        """Light a corner of the screen with each image, or not."""
        self.stage.screen.patch = on
        self.activity.touch()

    # Calibration

    def start_calibration(self) -> None:
        """Begin to calibrate; needs a study, a person, examples and what is to answer."""
        opened, person = self._must_be_ready()
        self._begin("calibrating", lambda: self._calibrate(opened, person))

    def accept_calibration(self, anyway: bool) -> None:
        """Go on with the calibration; one below the threshold only if told `anyway`.

        Raises
        ------
        StudyError
            If there is none, or it is below the threshold and nobody insists.
        """
        if self.calibration is None:
            raise StudyError("there is no calibration to go on with; calibrate first")
        if not self.calibration["good"] and not anyway:
            raise StudyError(f"{self.calibration['verdict']} Calibrate again, or say that you want to go on anyway")
        with self._lock:
            self.calibration = {**self.calibration, "accepted": True}
        self.activity.touch()

    def _calibrate(self, opened: "Opened", person: str) -> None:
        from brainloop.studio import tasks

        folder = opened.study.folder
        with self.stage.sit(opened, person, self.mode, "calibration") as sitting:
            # Stopped, what there is may be enough; if not, the training says so.
            with suppress(StoppedError):
                told = lambda done, total: self.activity.hear("progress", "calibrating", done, total)  # noqa: E731
                target = opened.known.calibrates
                sitting.calibrate(target, *opened.known.examples(target), opened.study.settings, told)
            self.stage.screen.over("Thank you. The decoder is being trained.")
        self.activity.turn_to("training")
        try:
            self.activity.work(tasks.calibrate, folder, sitting.folder, sitting.mode, sitting.folder.parent)
        finally:
            self.activity.work(tasks.finish_recordings, folder)
        with self._lock:
            self._seat(person)

    # Looking

    def start_watching(self) -> None:
        """Begin, or go on, to look at the study's images."""
        opened, person = self._must_be_ready()
        if self.calibration is None:
            raise StudyError(f"{person} has not calibrated for '{self.mode}' yet; calibrate first")
        if not self.calibration["accepted"]:
            raise StudyError(f"{self.calibration['verdict']} Calibrate again, or accept this one on its page first")
        self._begin("watching", lambda: self._watch(opened, person))

    def stop(self) -> None:
        """End the calibration, with what there is, or the looking, which goes on at any time."""
        if self.activity.name in ("calibrating", "watching"):
            self.activity.turn_to("stopping")
            self.stage.stop("you stopped; go on whenever you like")
            if self.opened is not None and self.opened.lost:
                self.stage.leave()

    def _watch(self, opened: "Opened", person: str) -> None:
        from brainloop.calibration import load_calibrated
        from brainloop.studio import tasks

        study = opened.study
        calibrated = load_calibrated(study.folder / "people" / person)
        if calibrated is None:
            raise StudyError(f"{person} has not calibrated yet; calibrate first")
        self._embedding.join()  # two processes may not embed the same images
        with self.stage.sit(opened, person, self.mode, "study") as sitting:
            self.watched = watched = Watched.begin(opened.known.looks, opened.known.rounds)

            def told(kind: str, *values: Any) -> None:
                watched.hear(kind, *values)
                if kind == "round":
                    opened.refresh()
                self.activity.hear(kind, *values)

            def done() -> float:
                return (
                    watched.looks / study.settings.max_looks if study.settings.use == "train" else watched.sure or 0.0
                )

            why = sitting.watch(calibrated, told, done, opened.station)
            self.stage.screen.over(why or "You stopped. Go on whenever you like: nothing is lost.")
            self.activity.say("info", why or "Stopped. Start again to go on where you were.")
        self.activity.work(tasks.finish_recordings, study.folder)

    def close(self) -> None:
        """End what is going on, and let go of everything."""
        self.stage.stop("the studio was closed")
        self.driving.stop()
        self.activity.end()
        self.stage.close()
        if self.opened is not None:
            self.opened.close()

    def _prepare(self, opened: "Opened") -> None:
        """Embed the study's images, and finish what an earlier studio, killed, left as raw sessions."""
        from brainloop.studio import tasks

        try:
            self.activity.work(tasks.embed, opened.study.folder)
            opened.embedded = True
            self.activity.work(tasks.finish_recordings, opened.study.folder)
        except BrainloopError as error:
            self.activity.say("error", str(error))
        self.activity.progress = None
        self.activity.touch()

    def _hear_of_stations(self) -> None:
        if self.opened is not None:
            self.stage.screen.warn(self.opened.lost)
        self.activity.touch()

    def _begin(self, activity: str, what: Callable[[], None]) -> None:
        def after() -> None:
            with self._lock:
                self.must_be_open().refresh()

        self.activity.begin(activity, what, after)

    def _seat(self, name: str) -> None:
        """Seat a person, with the calibration they have for what is to answer."""
        from brainloop.studio.calibration import calibration_state

        before = self.calibration
        self.person = name
        self.calibration = calibration_state(
            self.must_be_open().study.folder / "people" / name,
            self.mode,
            self.stage.monitor.quality if self.stage.monitor else (),
            accepted=bool(before and before["accepted"] and before["person"] == name),
        )

    def _person_folder(self) -> Path | None:
        opened, person = self.opened, self.person
        return None if opened is None or person is None else opened.study.folder / "people" / person

    def _must_be_ready(self) -> "tuple[Opened, str]":
        self.activity.must_be_idle()
        opened = self.must_be_open()
        folder = opened.study.folder
        if (observer := opened.study.settings.observer) != "live":
            raise StudyError(
                f"{folder} is answered by '{observer}', not by a person; make a study here, or: brainloop run {folder}"
            )
        if self.person is None:
            raise StudyError("nobody has sat down yet; give a name and consent first")
        if self.mode != "keyboard" and not self.stage.has_headset:
            raise StudyError("no headset is connected; connect one, or choose the keyboard")
        return opened, self.person
