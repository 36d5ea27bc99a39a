"""What the studio does: a study, a headset, a person, and what they are at."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from threading import Condition, RLock, Thread
from typing import TYPE_CHECKING, Any

from brainloop.errors import BrainloopError, SettingsError, StoppedError, StudyError
from brainloop.studio.page import PageScreen
from brainloop.studio.state import state_of, studies_in
from brainloop.studio.watched import Watched

if TYPE_CHECKING:
    from brainloop.presentation.external import ExternalScreen
    from brainloop.presentation.markers import MarkerOutlet
    from brainloop.presentation.screen import Screen
    from brainloop.studio.known import Known
    from brainloop.studio.monitor import Monitor
    from brainloop.studio.results import Results
    from brainloop.studio.sitting import Sitting
    from brainloop.studio.work import Work
    from brainloop.study import Study

__all__ = ["Session", "marker_source"]

MODES = ("headset", "keyboard", "both")
"""What may answer."""

CHOSEN = ("soa", "block_size", "pause", "looks_per_round", "max_looks", "prevalence", "system", "backbone", "seed")
"""Settings that a study may be created with, beside its name, images and target."""


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

    Attributes
    ----------
    screen : PageScreen
        The page that shows blocks.
    study, known : Study or None, Known or None
        The study that is open, and what its store holds.
    studies : list of dict
        Those of the home folder.
    monitor : Monitor or None
        The headset's, once there was one.
    person : str or None
        Who sits there.
    mode : {"headset", "keyboard", "both"}
        What is to answer.
    activity : {"idle", "preparing", "calibrating", "training", "watching", "stopping"}
        What is going on.
    progress, calibration, notice : dict or None
        As the page shows them.
    watched : Watched or None
        How the looking goes, or went last.
    """

    def __init__(self, home: Path, study: Path | None = None, markers: str | None = None) -> None:
        self.home = home.resolve()
        self.screen = PageScreen()
        self.screen.changed = self.touch
        self.study: Study | None = None
        self.known: Known | None = None
        self.monitor: Monitor | None = None
        self.studies = studies_in(self.home)
        self.person: str | None = None
        self.mode = "headset"
        self.activity = "idle"
        self.progress: dict[str, Any] | None = None
        self.calibration: dict[str, Any] | None = None
        self.watched: Watched | None = None
        self.notice: dict[str, Any] | None = None
        self._lock = RLock()
        self._news = Condition()
        self._version = 0
        self._foreign = markers
        self._external: ExternalScreen | None = None
        self._markers: MarkerOutlet | None = None
        self._sitting: Sitting | None = None
        self._of_study: tuple[Study, Results] | None = None
        self._works: list[Work] = []
        self._thread = self._embedding = Thread()
        if study is not None:
            self.open_study(study)

    # What the page is told

    def touch(self) -> None:
        """Say that the state has changed."""
        with self._news:
            self._version += 1
            self._news.notify_all()

    def wait_change(self, version: int, timeout: float) -> int:
        """Wait until the state is another than `version`, or for `timeout` s; give the version it has."""
        with self._news:
            if self._version == version:
                self._news.wait(timeout)
            return self._version

    def state(self) -> dict[str, Any]:
        """Give all that the page shows, ready for JSON."""
        with self._lock:
            return state_of(self)

    def say(self, level: str, text: str) -> None:
        """Show a notice on the page."""
        with self._lock:
            self.notice = {"level": level, "text": text, "n": 1 + (self.notice["n"] if self.notice else 0)}
        self.touch()

    @property
    def is_external(self) -> bool:
        """Whether a lab's own software shows the images."""
        return self._foreign is not None

    @property
    def soa(self) -> float:
        """Of the study that is open, s."""
        return (self._must_have_study().settings.soa or 0.2) if self.study else 0.2

    def traces(self) -> dict[str, Any] | None:
        """Give the newest samples of the headset, for drawing; None without one."""
        return self.monitor.traces() if self.monitor else None

    # Studies

    def create_study(self, values: Mapping[str, Any]) -> None:
        """Make a study in the home folder, and open it.

        Raises
        ------
        SettingsError, StudyError, ImageError
            If a value is missing or wrong, there is one already, or the images cannot be used.
        """
        from brainloop.settings import Settings
        from brainloop.study import Study

        self._must_be_idle()
        name, images, target = (_text(values, key) for key in ("name", "images", "target"))
        folder = self.home / name
        if folder.parent != self.home or name.startswith("."):
            raise SettingsError(f"expected a plain name for the study, without slashes; got {name!r}")
        chosen = {key: values[key] for key in CHOSEN if values.get(key) is not None}
        settings = Settings(images=str(Path(images).expanduser()), target=target, observer="live", **chosen)
        with self._doing("scanning the images") as progress:
            Study.create(folder, settings, progress=progress)
        self.open_study(folder)

    def open_study(self, folder: Path | str) -> None:
        """Open a study, and embed its images meanwhile.

        Raises
        ------
        StudyError
            If there is none, or another observer's.
        """
        from brainloop.study import Study

        self._must_be_idle()
        study = Study.open(self.home / folder)
        if study.settings.observer != "live":
            raise StudyError(
                f"{study.folder} is answered by '{study.settings.observer}', not by a person; make a study here, "
                f"or run this one with: brainloop run {study.folder}"
            )
        self.close_study()
        with self._lock:
            self.study = study
            self.studies = studies_in(self.home)
            self._refresh()
            if self.known is not None and len(self.known.people) == 1:
                self._seat(self.known.people[0]["name"])
        self.touch()
        self._embedding = Thread(target=self._prepare, args=(study,), name="embedding", daemon=True)
        self._embedding.start()

    def close_study(self) -> None:
        """Close the study; all of it is on disk."""
        self._must_be_idle()
        with self._lock:
            if self.study is not None:
                self.study.store.close()
            self.study = self.known = self.person = self.calibration = self.watched = None
        self.touch()

    def set_examples(self, targets: list[int], others: list[int]) -> None:
        """Take images as known examples, to calibrate with and to learn from; all that were not named are taken back.

        Raises
        ------
        SettingsError
            If an image is named as both, or there is none of that id.
        """
        if both := set(targets) & set(others):
            raise SettingsError(f"expected each example to be a target or not, got {min(both)} as both; undo one")
        wanted = dict.fromkeys(targets, True) | dict.fromkeys(others, False)
        said = self.known.corrections if self.known else {}
        for image in {**said, **wanted}:
            if said.get(image) is not wanted.get(image):
                self.correct(image, wanted.get(image))

    def correct(self, image: int, is_target: bool | None) -> None:
        """Take a person's word for an image, or take it back with None; the next training hears of it.

        Raises
        ------
        SettingsError
            If there is no image of that id.
        """
        study = self._must_have_study()
        if self.known is None or image not in self.known.images:
            raise SettingsError(f"expected the id of an image of this study, got {image!r}")
        study.store.correct(image, is_target, person=self.person or "")
        with self._lock:
            self.known = replace(self.known, corrections=study.store.corrections())
        self.touch()

    def image_file(self, number: int) -> tuple[Path, str] | None:
        """Give the path and the hash of an image of the study; None where it has none of that id."""
        with self._lock:
            image = self.known.images.get(number) if self.known else None
            return None if image is None or self.study is None else (self.study.image_path(image), image.hash)

    def gallery(self, order: str, part: str, offset: int, limit: int) -> dict[str, Any]:
        """Give a page of the study's images with what is known of each."""
        return self._results().gallery(order, part, offset, limit)

    def results(self) -> dict[str, Any]:
        """Give what the results page draws."""
        return self._results().curves(self.calibration)

    def export(self, what: list[str]) -> list[Path]:
        """Write exports into the study's folder, and give their paths."""
        from brainloop.studio import tasks

        self._must_be_idle()
        study = self._must_have_study()
        with self._doing("writing the export"):
            names = self._work(tasks.export_study, study.folder, what)
        return [study.folder / "exports" / name for name in names]

    def exports(self) -> list[Path]:
        """List what was exported."""
        folder = self._must_have_study().folder / "exports"
        return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []

    # People

    def set_person(self, name: str, consent: bool, no_epilepsy: bool) -> None:
        """Seat a person; one who is not known yet must consent first.

        Raises
        ------
        SettingsError
            If the name is no name, or consent or the confirmation is missing.
        """
        from brainloop.people import consent as agree

        study = self._must_have_study()
        self._must_be_idle()
        if self.known is None or name not in [one["name"] for one in self.known.people if one["consented"]]:
            agree(study, name, consent=consent, no_epilepsy=no_epilepsy)
        with self._lock:
            self._refresh()
            self._seat(name)
        self.touch()

    def forget_person(self, name: str) -> list[tuple[str, str]]:
        """Erase a person, and give what went."""
        from brainloop.studio import tasks

        self._must_be_idle()
        study = self._must_have_study()
        self._embedding.join()
        with self._doing("erasing"):
            study.store.close()
            went: list[tuple[str, str]] = self._work(tasks.erase, study.folder, name)
        with self._lock:
            if self.person == name:
                self.person = self.calibration = self.watched = None
            self._refresh()
        self.touch()
        return went

    # The headset

    def list_headsets(self) -> list[dict[str, Any]]:
        """Listen for headsets for a second."""
        from brainloop.eeg.headset import find_headsets
        from brainloop.studio.plain import plain

        return [plain(info) for info in find_headsets()]

    def connect_headset(self, name: str) -> None:
        """Open a headset and look at its signal; nothing is written down yet."""
        from brainloop.studio.monitor import Monitor

        self._must_be_idle()
        with self._lock:
            self.monitor = self.monitor or Monitor(self.touch, self._hold)
        self.monitor.connect(name)
        self._publish_markers()

    def disconnect_headset(self) -> None:
        """Let go of the headset."""
        self._must_be_idle()
        if self.monitor is not None:
            self.monitor.disconnect()

    def set_mode(self, mode: str) -> None:
        """Say what is to answer: headset, keyboard or both."""
        self._must_be_idle()
        if mode not in MODES:
            raise SettingsError(f"expected one of {', '.join(MODES)}, got {mode!r}")
        with self._lock:
            self.mode = mode
            if self.person is not None:
                self._seat(self.person)
        self.touch()

    def set_patch(self, on: bool) -> None:
        """Light a corner of the screen with each image, or not."""
        self.screen.patch = on
        self.touch()

    # Calibration

    def start_calibration(self) -> None:
        """Begin to calibrate; needs a study, a person, examples and what is to answer."""
        study, person = self._must_be_ready()
        self._start("calibrating", lambda: self._calibrate(study, person))

    def stop_calibration(self) -> None:
        """End the calibration that is running, with what there is."""
        self._stop()

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
        self.touch()

    def _calibrate(self, study: "Study", person: str) -> None:
        from brainloop.studio import tasks

        chosen = study.settings
        targets, others = self.known.examples(chosen.target) if self.known else (frozenset(), frozenset())
        with self._sit(study, person, "calibration") as sitting:
            # Stopped, what there is may be enough; if not, the training says so.
            with suppress(StoppedError):
                told = lambda done, total: self._hear("progress", "calibrating", done, total)  # noqa: E731
                sitting.calibrate(targets, others, chosen, told)
            self.screen.over("Thank you. The decoder is being trained.")
        self._set_activity("training")
        try:
            self._work(tasks.calibrate, study.folder, sitting.folder, sitting.mode, sitting.folder.parent)
        finally:
            self._work(tasks.finish_recordings, study.folder)
        with self._lock:
            self._seat(person)

    # Looking

    def start_watching(self) -> None:
        """Begin, or go on, to look at the study's images."""
        study, person = self._must_be_ready()
        if self.calibration is None:
            raise StudyError(f"{person} has not calibrated for '{self.mode}' yet; calibrate first")
        if not self.calibration["accepted"]:
            raise StudyError(f"{self.calibration['verdict']} Calibrate again, or accept this one on its page first")
        self._start("watching", lambda: self._watch(study, person))

    def stop_watching(self) -> None:
        """Stop looking; go on at any time."""
        self._stop()

    def _watch(self, study: "Study", person: str) -> None:
        from brainloop.calibration import load_calibrated
        from brainloop.studio import tasks

        calibrated = load_calibrated(study.folder / "people" / person)
        if calibrated is None:
            raise StudyError(f"{person} has not calibrated yet; calibrate first")
        self._embedding.join()  # two processes may not embed the same images
        with self._sit(study, person, "study") as sitting:
            with self._lock:
                self.watched = watched = Watched.begin(self.known.looks, self.known.rounds) if self.known else None

            def told(kind: str, *values: Any) -> None:
                if watched is not None:
                    watched.hear(kind, *values)
                if kind == "round":
                    self._refresh()
                self._hear(kind, *values)

            most = study.settings.max_looks
            why = sitting.watch(calibrated, told, lambda: watched.looks / most if watched else 0.0)
            self.screen.over(why or "You stopped. Go on whenever you like: nothing is lost.")
            self.say("info", why or "Stopped. Start again to go on where you were.")
        self._work(tasks.finish_recordings, study.folder)

    # Inside

    def _results(self) -> "Results":
        from brainloop.studio.results import Results

        study = self._must_have_study()
        with self._lock:
            if self._of_study is None or self._of_study[0] is not study:
                self._of_study = study, Results(study)
            return self._of_study[1]

    def close(self) -> None:
        """End what is going on, and let go of everything."""
        self._stop_screens("the studio was closed")
        if self._thread.is_alive():
            self._thread.join(10)
        for work in list(self._works):
            work.end()
        if self.monitor is not None:
            self.monitor.close()
        if self.study is not None:
            self.study.store.close()

    @contextmanager
    def _sit(self, study: "Study", person: str, phase: str) -> "Iterator[Sitting]":
        from brainloop.studio.sitting import Sitting

        known = self.known
        assert known is not None  # noqa: S101
        self.screen.latency = known.display["offset"] if known.display else 0.0
        self.screen.pause = study.settings.pause
        self.screen.begin(study.settings.target)
        screen: Screen = self.screen
        if self._foreign is not None:
            from brainloop.presentation.external import ExternalScreen

            screen = self._external = ExternalScreen(self._foreign, lambda image: known.images[image].path)
        monitor = self.monitor if self.mode != "keyboard" else None
        markers = self._publish_markers()
        sitting = Sitting(
            study.folder, known.images, person, self.mode, phase, screen, self.screen, markers, monitor, self._warn
        )
        with self._lock:
            self._sitting = sitting
        try:
            yield sitting
        except (BrainloopError, OSError) as error:
            self.screen.over(str(error))
            raise
        finally:
            with self._lock:
                self._sitting, external, self._external = None, self._external, None
            sitting.close()
            if external is not None:
                external.close()

    def _publish_markers(self) -> "MarkerOutlet":
        from brainloop.presentation.markers import MarkerOutlet

        with self._lock:
            self._markers = self._markers or MarkerOutlet(marker_source(self.home))
            return self._markers

    def _work(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function in a process of its own, which ends with the studio."""
        from brainloop.studio.work import Work

        work = Work(function, *arguments)
        self._works.append(work)
        try:
            return work.result(self._hear)
        finally:
            self._works.remove(work)

    def _warn(self, text: str) -> None:
        self.say("warning", text)

    def _hold(self, headset: str) -> None:
        """Interrupt the block that is shown, as the headset sends nothing."""
        if self._sitting is not None:
            self.screen.hold(
                f"No samples come from {headset}. See to its battery, cable and radio; once it is back, press space."
            )
            self._warn(f"No samples come from {headset}; the block waits.")

    def _prepare(self, study: "Study") -> None:
        """Embed the study's images, and finish what an earlier studio, killed, left as raw sessions."""
        from brainloop.studio import tasks

        try:
            self._work(tasks.embed, study.folder)
            self._work(tasks.finish_recordings, study.folder)
        except BrainloopError as error:
            self.say("error", str(error))
        self.progress = None
        self.touch()

    def _start(self, activity: str, what: Callable[[], None]) -> None:
        self._must_be_idle()
        self._set_activity(activity)

        def run() -> None:
            try:
                what()
            except (BrainloopError, OSError) as error:
                self.say("error", str(error))
            finally:
                with self._lock:
                    self.progress = None
                    self._refresh()
                self._set_activity("idle")

        self._thread = Thread(target=run, name=activity, daemon=True)
        self._thread.start()

    def _stop(self) -> None:
        if self.activity in ("calibrating", "watching"):
            self._set_activity("stopping")
            self._stop_screens("you stopped; go on whenever you like")

    def _stop_screens(self, why: str) -> None:
        self.screen.stop(why)
        if (external := self._external) is not None:
            external.stop()

    @contextmanager
    def _doing(self, what: str) -> Iterator[Callable[[int, int], None]]:
        self._set_activity("preparing")
        try:
            yield lambda done, total: self._hear("progress", what, done, total)
        finally:
            self.progress = None
            self._set_activity("idle")

    def _set_activity(self, activity: str) -> None:
        with self._lock:
            self.activity = activity
        self.touch()

    def _hear(self, kind: str, *values: Any) -> None:
        if kind == "progress":
            self.progress = dict(zip(("what", "done", "total"), values, strict=True))
        elif kind == "show":
            self.progress = None
        self.touch()

    def _refresh(self) -> None:
        """Read again what the store holds."""
        from brainloop.studio.known import Known

        if self.study is not None:
            known = Known.of(self.study)
            with self._lock:
                self.known = known

    def _seat(self, name: str) -> None:
        """Seat a person, with the calibration they have for what is to answer."""
        from brainloop.studio.results import calibration_state

        before = self.calibration
        self.person = name
        self.calibration = calibration_state(
            self._must_have_study().folder / "people" / name,
            self.mode,
            self.monitor.quality if self.monitor else (),
            accepted=bool(before and before["accepted"] and before["person"] == name),
        )

    def _must_have_study(self) -> "Study":
        if self.study is None:
            raise StudyError("no study is open; create or open one first")
        return self.study

    def _must_be_idle(self) -> None:
        if self.activity != "idle":
            raise StudyError(f"the studio is {self.activity}; wait until it is done, or stop it first")

    def _must_be_ready(self) -> "tuple[Study, str]":
        self._must_be_idle()
        study = self._must_have_study()
        if self.person is None:
            raise StudyError("nobody has sat down yet; give a name and consent first")
        if self.mode != "keyboard" and (self.monitor is None or self.monitor.headset is None):
            raise StudyError("no headset is connected; connect one, or choose the keyboard")
        return study, self.person


def marker_source(home: Path) -> str:
    """Give the source id of a studio's marker stream: the same after a restart, another for each home folder."""
    return f"brainloop-{sha256(str(home.resolve()).encode()).hexdigest()[:8]}"


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(f"expected a text as {name!r}, got {value!r}; fill it in")
    return value.strip()
