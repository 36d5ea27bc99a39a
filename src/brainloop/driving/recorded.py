"""A recorded drive: written down as it happens, readable whenever it is cut short, replayed exactly.

Its folder holds

    drive.json       seed, driver, watcher, versions, and what must not be read into it; written first
    instants.jsonl   one `Instant` a line, appended as they come

A line is handed to the system before anybody sees its instant, so a kill loses none that was seen; a line that a kill
cut off is left out in reading. JSON writes a float with the digits that give back the same float, so a replay is equal
to the drive to the last bit. Of a headset's drive, `eeg/` in the same folder is the raw recording (`eeg.recorder`).
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from brainloop._files import write_whole
from brainloop.driving.drive import Instant
from brainloop.driving.road import DT, Scene
from brainloop.driving.watcher import Heard
from brainloop.eeg.mental_state import CAVEATS, MentalState
from brainloop.errors import RecordingError

__all__ = ["DriveFacts", "RecordedDrive", "read_drive", "record"]

FORMAT = 1
"""Of both files."""


@dataclass(frozen=True)
class DriveFacts:
    """What a drive was.

    Attributes
    ----------
    seed : int
        Of its first road.
    seconds : float
        How long it was to be, s.
    driver, watcher : str
        Who drove and who watched, in words for people.
    """

    seed: int
    seconds: float
    driver: str
    watcher: str


@dataclass(frozen=True)
class RecordedDrive:
    """A drive, read.

    Attributes
    ----------
    facts : DriveFacts
        What it was.
    instants : tuple of Instant
        What happened, up to where the recording ends.
    """

    facts: DriveFacts
    instants: tuple[Instant, ...]


def record(drive: Iterable[Instant], folder: Path, facts: DriveFacts) -> Iterator[Instant]:
    """Pass a drive on, each instant once it is written down.

    Parameters
    ----------
    drive : iterable of Instant
        A `Drive`.
    folder : Path
        Where it goes; made where there is none.
    facts : DriveFacts
        Of this drive.

    Raises
    ------
    RecordingError
        At once, if the folder holds a recorded drive already.
    OSError
        If it cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "drive.json").exists():
        raise RecordingError(f"{folder} holds a recorded drive already; record into another folder")
    about = {
        "format": FORMAT, **asdict(facts), "step_s": DT, "recorded": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: version(name) for name in ("brainloop", "numpy")}, "caveats": CAVEATS,
    }  # fmt: skip
    lines = (folder / "instants.jsonl").open("wb", buffering=0)
    write_whole(folder / "drive.json", json.dumps(about, indent=1).encode())
    return _write(drive, lines)


def _write(drive: Iterable[Instant], lines: IO[bytes]) -> Iterator[Instant]:
    with lines:
        for instant in drive:
            lines.write((json.dumps(asdict(instant), separators=(",", ":")) + "\n").encode())
            yield instant


def read_drive(folder: Path) -> RecordedDrive:
    """Read a recorded drive: over, running, or cut short by a kill.

    Parameters
    ----------
    folder : Path
        As `record` wrote it.

    Raises
    ------
    RecordingError
        If there is none, another version wrote it, or a line that is whole is no instant.
    """
    expected = f"expected a drive that brainloop recorded in {folder}"
    try:
        about = json.loads((folder / "drive.json").read_text(encoding="utf-8"))
        written = (folder / "instants.jsonl").read_bytes()
    except (OSError, ValueError) as error:
        raise RecordingError(f"{expected}: {error}; `brainloop drive --record` writes one") from error
    if not isinstance(about, Mapping) or about.get("format") != FORMAT:
        found = about.get("format") if isinstance(about, Mapping) else None
        raise RecordingError(
            f"{expected}, format {FORMAT}; drive.json says {found!r}: read it with the brainloop that wrote it"
        )
    try:
        facts = DriveFacts(
            int(about["seed"]), float(about["seconds"]), str(about["driver"]), str(about["watcher"])
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"{expected}; drive.json lacks what it must say: {error!r}") from error
    instants = []
    for number, line in enumerate(written.split(b"\n")[:-1], start=1):  # the last has no end: empty, or cut off
        try:
            instants.append(_instant(json.loads(line)))
        except (KeyError, TypeError, ValueError) as error:
            raise RecordingError(
                f"{expected}; line {number} of instants.jsonl is no instant: {error!r}. It was changed by something "
                "else; to replay what comes before it, remove it and all that follows"
            ) from error
    return RecordedDrive(facts, tuple(instants))


def _instant(of: Any) -> Instant:
    """Make an instant of its JSON; KeyError, TypeError or ValueError if it is something else."""
    if of["ended"] not in (None, "collision", "time"):
        raise ValueError(f"ended is {of['ended']!r}")
    people = tuple((float(gap), float(y), float(v), bool(attentive)) for gap, y, v, attentive in of["scene"]["people"])
    car = tuple(map(float, of["scene"]["car"]))
    return Instant(
        time=float(of["time"]),
        scene=Scene(**{**of["scene"], "people": people, "car": car}),
        action=int(of["action"]),
        heard=tuple(Heard(**one) for one in of["heard"]),
        alarm=bool(of["alarm"]),
        state=None if of["state"] is None else MentalState(**of["state"]),
        ended=of["ended"],
    )
