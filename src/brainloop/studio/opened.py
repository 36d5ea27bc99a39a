"""The study that is open: its folder, what its store holds, and what the page may ask of it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from brainloop.errors import SettingsError, StudyError, UnreachableError
from brainloop.studio.known import Known
from brainloop.studio.stations import PATIENCE_S, Stations

if TYPE_CHECKING:
    from brainloop.studio.results import Results
    from brainloop.study import Study

__all__ = ["Opened"]


class Opened:
    """A study, read once and again when it has changed; its methods may be called from any thread.

    Parameters
    ----------
    study : Study
        Which.
    station : str, optional
        This station's name, where stations share the study; that of the machine by default.
    changed : callable
        Called whenever other stations have changed what is to be shown.

    Attributes
    ----------
    study : Study
        The same.
    known : Known
        What its store holds.
    embedded : bool
        Whether its images are embedded by now.
    station : str
        This station's name; ``local`` where there are no others.
    stations : Stations or None
        The others, where there may be any.

    Raises
    ------
    StudyError
        If a station is named, and the study is not shared.
    """

    def __init__(self, study: "Study", station: str | None = None, changed: Callable[[], None] = lambda: None) -> None:
        from brainloop.station import default_station

        self.study = study
        self.station = station or default_station(study.store)
        if not study.store.is_shared and self.station != "local":
            raise StudyError(
                f"expected a study that stations share, and the store of {study.folder} is a file for one; leave out "
                f"the station {station!r}, or make a study with --store postgresql://HOST/DATABASE"
            )
        self.known = Known.of(study)
        self.embedded = False
        self._lock = RLock()
        self._results: Results | None = None
        if study.store.is_shared:
            study.store.patience_s = PATIENCE_S  # whoever waits here sits before the page
        self.stations = Stations(study, self.station, changed, self.refresh) if study.store.is_shared else None

    def refresh(self) -> None:
        """Read again what the store holds; once more when it is back, if it cannot be reached now."""
        with suppress(UnreachableError):
            self.known = Known.of(self.study)

    def close(self) -> None:
        """Let go of the store."""
        if self.stations is not None:
            self.stations.close()
        self.study.store.close()

    @property
    def lost(self) -> str | None:
        """What is said while the store that stations share cannot be reached; None otherwise."""
        return None if self.stations is None else self.stations.lost

    @property
    def only_person(self) -> str | None:
        """Who sits down without being asked: the one person of a live study, or, of a shared one, of this folder."""
        here = [one["name"] for one in self.known.people if one["consented"] or self.stations is None]
        return here[0] if len(here) == 1 and self.study.settings.observer == "live" else None

    @property
    def soa(self) -> float:
        """Onset to onset, s."""
        return self.study.settings.soa or 0.2

    @property
    def results(self) -> "Results":
        """What is known of its images."""
        from brainloop.studio.results import Results

        with self._lock:
            self._results = self._results or Results(self.study, lambda: self.embedded)
            return self._results

    def image_file(self, number: int) -> tuple[Path, str] | None:
        """Give the path and the hash of an image; None where there is none of that id."""
        image = self.known.images.get(number)
        return None if image is None else (self.study.image_path(image), image.hash)

    def set_examples(self, target: str, targets: list[int], others: list[int], person: str) -> None:
        """Take images as known examples of a target, to calibrate with and to learn from.

        All that were said of this target before, and were not named now, are taken back.

        Raises
        ------
        SettingsError
            If an image is named as both, or there is none of that id.
        """
        if both := set(targets) & set(others):
            raise SettingsError(f"expected each example to be a target or not, got {min(both)} as both; undo one")
        wanted = dict.fromkeys(targets, True) | dict.fromkeys(others, False)
        said = {image: word[1] for image, word in self.known.corrections.items() if word[0] == target}
        for image in {**said, **wanted}:
            if said.get(image) is not wanted.get(image):
                self.correct(image, target, wanted.get(image), person)

    def correct(self, image: int, target: str, is_target: bool | None, person: str) -> None:
        """Take a person's word on an image, or take it back with None; the next training hears of it.

        Parameters
        ----------
        image : int
            Its id.
        target : str
            What it is said to be, or not to be: something that this study looks for.
        is_target : bool or None
            Whether it is.
        person : str
            Who says so.

        Raises
        ------
        SettingsError
            If there is no image of that id, or nobody looks for that.
        """
        if image not in self.known.images:
            raise SettingsError(f"expected the id of an image of this study, got {image!r}")
        if target not in self.known.targets:
            raise SettingsError(f"expected one of {', '.join(self.known.targets)} as the target, got {target!r}")
        self.study.store.correct(image, target, is_target, person=person)
        with self._lock:
            self.known = replace(self.known, corrections=self.study.store.corrections())

    def people(self, work: Callable[..., Any]) -> list[dict[str, Any]]:
        """Give who looked, and what each came to; of several, computed by a `work` in a process of its own."""
        from brainloop.studio import tasks

        if not self.embedded or sum(one["responses"] > 0 for one in self.known.people) < 2:
            return []
        found: list[dict[str, Any]] = self.results.at_once("people", lambda: work(tasks.list_people, self.study.folder))
        return found

    def fusion(self, work: Callable[..., Any]) -> list[dict[str, Any]]:
        """Give what classifier and brain say together, of each target, computed by a `work` in a process of its own."""
        from brainloop.studio import tasks

        if self.study.settings.use != "train" or not self.known.rounds:
            return []
        found: list[dict[str, Any]] = self.results.at_once("fusion", lambda: work(tasks.fuse, self.study.folder))
        return found

    def choices(self) -> list[dict[str, Any]]:
        """List what it may give away as files."""
        from brainloop.studio.exporting import choices

        return choices(self.study.settings)

    def exports(self) -> list[tuple[Path, str | None]]:
        """List what was exported, each with the choice that made it."""
        from brainloop.studio.exporting import made

        return made(self.study.settings, self.study.folder / "exports")
