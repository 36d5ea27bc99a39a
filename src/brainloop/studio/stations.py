"""The other stations of a study that is shared, and whether its store can be reached; asked again and again."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from brainloop.errors import StudyError, UnreachableError
from brainloop.studio.plain import plain

if TYPE_CHECKING:
    from brainloop.store import StationRecord
    from brainloop.study import Study

__all__ = ["PATIENCE_S", "Stations"]

EVERY_S = 2.0
"""Between two questions, s."""

PATIENCE_S = 4.0
"""How long the store may be silent before the page says so, s."""

SKEW_S = 1.0
"""Between a machine's clock and the store's, s: leases go by the store's, but times of recordings do not."""


class Stations:
    """Who else is at a study; its methods may be called from any thread.

    Parameters
    ----------
    study : Study
        Whose stations they are.
    name : str
        This station.
    changed : callable
        Called whenever there is something new to show.
    moved : callable
        Called when other stations have brought a round to its end, or the store is back.

    Attributes
    ----------
    name : str
        This station.
    lost : str or None
        What is said while the store cannot be reached.
    """

    def __init__(self, study: "Study", name: str, changed: Callable[[], None], moved: Callable[[], None]) -> None:
        self.name = name
        self.lost: str | None = None
        self._study, self._changed, self._moved = study, changed, moved
        self._others: list[dict[str, Any]] = []
        self._own: dict[str, Any] = {}
        self._rounds: int | None = None
        self._over = Event()
        self._thread = Thread(target=self._watch, name="stations", daemon=True)
        self._thread.start()

    def state(self) -> dict[str, Any]:
        """Give what the page shows, ready for JSON."""
        return {
            "name": self.name, "lost": self.lost, "others": self._others, "skew": SKEW_S,
            "clock_offset": self._own.get("clock_offset"),
        }  # fmt: skip

    def close(self) -> None:
        """Ask no more."""
        self._over.set()
        self._thread.join(PATIENCE_S + 1)

    def _watch(self) -> None:
        from brainloop.store import Store

        store: Store | None = None
        while not self._over.is_set():
            try:
                store = store or Store(self._study.settings.store or "", patience_s=PATIENCE_S)
                self._take(store.stations(), len(store.rounds()))
            except StudyError as error:
                self._lose(error)
            self._over.wait(EVERY_S)
        if store is not None:
            store.close()

    def _take(self, found: "Sequence[StationRecord]", rounds: int) -> None:
        before = self.state()
        every = [plain(one) | {"seen": _roughly(one)} for one in found]
        self._others = [one for one in every if one["name"] != self.name and (one["alive"] or one["looks"])]
        self._own = next((one for one in every if one["name"] == self.name), {})
        was_lost, self.lost = self.lost, None
        moved, self._rounds = was_lost is not None or self._rounds not in (None, rounds), rounds
        if moved:
            self._moved()
        if moved or self.state() != before:
            self._changed()

    def _lose(self, error: StudyError) -> None:
        if self.lost is None:
            now = datetime.now(UTC).astimezone()
            self.lost = (
                f"Since {now:%H:%M} the study's store, {self._study.store.name}, cannot be reached. What is answered "
                "meanwhile waits here and is stored by itself once it is back: nothing is lost."
                if isinstance(error, UnreachableError)
                else str(error)
            )
            self._changed()


def _roughly(one: "StationRecord") -> float:
    """Round what passes by itself, s, so that a state is only new when something has happened."""
    step = 10.0 if one.seen < 120 else 60.0
    return 0.0 if one.alive else step * (one.seen // step)
