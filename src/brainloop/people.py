"""People who look: their consent, what is kept of them, a copy of it for them, and its erasure.

Of a person a study holds
    people/PERSON/person.json   what they consented to, in the words they read
    people/PERSON/SESSION/      raw recordings
    people/PERSON/              decoder, preparation, key and calibration
    recordings/sub-PERSON/      the recordings as BIDS
    store.sqlite                their responses and corrections
    models/                     heads trained on these, mean responses
    exports/, reports/          what was made of all that
"""

import csv
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from brainloop._files import write_whole
from brainloop._types import Progress, no_progress
from brainloop.consent import CONSENT, EPILEPSY, VERSION
from brainloop.errors import BrainloopError, SettingsError, StudyError
from brainloop.loop import retrain
from brainloop.observers.memory import forget
from brainloop.study import Study

__all__ = [
    "CONSENT",
    "EPILEPSY",
    "Consent",
    "Erasure",
    "PersonRecord",
    "consent",
    "erase_person",
    "export_person",
    "people",
    "person_folder",
]

ERASER = "erasure"
"""The station that an erasure is, where stations share the study: while it is there, no other erases."""

NAME = re.compile(r"[A-Za-z0-9]{1,40}", re.ASCII)
"""A person's name is a label of BIDS: it becomes the names of files."""


@dataclass(frozen=True)
class Consent:
    """What a person agreed to.

    Parameters
    ----------
    name : str
        Letters and digits.
    at : str
        When, ISO 8601 in UTC.
    version : int
        Of the texts.
    consent, epilepsy : str
        The texts, as they were read.
    no_epilepsy : bool
        Whether photosensitive epilepsy is not known; always true, as nobody goes on otherwise.
    """

    name: str
    at: str
    version: int
    consent: str
    epilepsy: str
    no_epilepsy: bool


@dataclass(frozen=True)
class PersonRecord:
    """What a study holds of a person.

    Parameters
    ----------
    name : str
        As they gave it.
    consented : str or None
        When, ISO 8601 in UTC; None for a person of a replayed recording, or where the file is lost.
    sessions : int
        Raw recordings.
    seconds : float
        Recorded in them, EEG or key presses, s.
    decoder : bool
        Whether there is one of theirs.
    responses, corrections : int
        In the store.
    """

    name: str
    consented: str | None
    sessions: int
    seconds: float
    decoder: bool
    responses: int
    corrections: int


@dataclass(frozen=True)
class Erasure:
    """What went with a person.

    Parameters
    ----------
    name : str
        Who is gone.
    went : tuple of (what, how much)
        In words, ready to be printed.
    """

    name: str
    went: tuple[tuple[str, str], ...]


def consent(study: Study, name: str, *, consent: bool, no_epilepsy: bool) -> Consent:
    """Write down that a person agrees to `CONSENT` and confirms `EPILEPSY`, before anything of theirs is recorded.

    Parameters
    ----------
    study : Study
        What for.
    name : str
        Letters and digits; a made-up one serves as well.
    consent, no_epilepsy : bool
        Whether they agree, and whether photosensitive epilepsy is not known.

    Raises
    ------
    SettingsError
        If the name is no label, differs from a known one by capitals only, or one of the two is not true.
    """
    _check_name(name)
    if not (consent and no_epilepsy):
        lacking = (
            "to consent to what is recorded" if not consent else "to confirm that no photosensitive epilepsy is known"
        )
        raise SettingsError(f"expected {name} {lacking}; without it nothing is recorded")
    alike = [one.name for one in people(study) if one.name != name and one.name.casefold() == name.casefold()]
    if alike:  # one folder on many a disk
        raise SettingsError(
            f"{alike[0]!r} is known already, and {name!r} differs by capitals only; choose another name"
        )
    agreed = Consent(name, datetime.now(UTC).isoformat(timespec="seconds"), VERSION, CONSENT, EPILEPSY, no_epilepsy)
    folder = person_folder(study, name)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "person.json", json.dumps(asdict(agreed), indent=1).encode())
    return agreed


def person_folder(study: Study, name: str) -> Path:
    """Where a person's recordings, decoder and consent lie; SettingsError if the name is no label."""
    _check_name(name)
    return study.folder / "people" / name


def people(study: Study) -> list[PersonRecord]:
    """List everybody of whom a study holds anything, by name."""
    counts = study.store.people()
    names = set(counts) | {folder.name for folder in _folders(study.folder / "people")}
    names |= {folder.name.removeprefix("sub-") for folder in _folders(study.folder / "recordings", "sub-*")}
    return [_record(study, name, *counts.get(name, (0, 0))) for name in sorted(names)]


def export_person(study: Study, name: str, folder: Path | str) -> Path:
    """Copy everything that a study holds of a person into a folder.

    Parameters
    ----------
    study : Study
        Which.
    name : str
        Who.
    folder : path
        New or empty, and not within the study, where nobody would look for it when the person is erased.

    Returns
    -------
    Path
        The folder: ``README.txt`` says what is in it.

    Raises
    ------
    StudyError
        If the study holds nothing of the person.
    SettingsError
        If the folder holds something, or lies within the study.
    """
    record, folder = _find(study, name), Path(folder)
    if folder.resolve().is_relative_to(study.folder.resolve()):
        raise SettingsError(f"expected a folder outside of the study, got {folder}; it would outlive an erasure there")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError(f"expected a new or empty folder at {folder}, found something there; name another")
    folder.mkdir(parents=True, exist_ok=True)
    for source in _own_folders(study, name):
        shutil.copytree(source, folder / source.relative_to(study.folder))
    for table in _tables(study.folder / "recordings"):
        kept, theirs = _divide(table, name)
        if theirs:
            copy = folder / table.relative_to(study.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(b"".join([kept[0], *theirs]))
    for name_of_table, rows in (
        ("evidence.csv", study.store.responses_of(name)), ("corrections.csv", study.store.corrections_of(name)),
    ):  # fmt: skip
        _write_rows(folder / name_of_table, rows)
    said = README.format(name=name, study=study.folder.name, sought=" and ".join(study.settings.sought), record=record)
    (folder / "README.txt").write_text(said, encoding="utf-8")
    return folder


README = """Everything that the study {study!r} holds of {name}, who looked for {sought!r}.

people/       person.json: what was consented to; a folder a session: meta.json, samples.f32 (float32, one row of all
              channels a sample, EEG in volts), times.f64 (float64, s), events.jsonl (what was shown and pressed);
              decoder, key and calibration
recordings/   the same sessions as BIDS (BrainVision)
evidence.csv  what each response said of the image shown, in nats: {record.responses} responses
corrections.csv  what {name} said of images with a click: {record.corrections} corrections
"""


def erase_person(study: Study, name: str, *, progress: Progress = no_progress) -> Erasure:
    """Erase a person from a study, and train again without them what was trained with them.

    Gone are raw recordings, events, decoder, BIDS, responses, corrections, mean responses, heads trained on them, and
    all exports and reports. The consent goes last: until then the person is listed, and an erasure that was cut short
    is finished by another. Files are unlinked and the store's file is written anew; older blocks of the disk, its
    snapshots and copies made elsewhere are beyond reach.

    Parameters
    ----------
    study : Study
        Which.
    name : str
        Who.
    progress : Progress
        Called with (rounds trained again, rounds).

    Returns
    -------
    Erasure
        What went. Where the images are not there to train again with, it says so; the next run then does it first.

    Raises
    ------
    StudyError
        If the study holds nothing of the person, another process runs it, or another program holds the store.
    """
    record = _find(study, name)
    if at_work := study.at_work():
        raise StudyError(
            f"expected nobody at work while {name} is erased; there is somebody at {', '.join(at_work)}: stop there, "
            "and erase again"
        )
    with study.running(ERASER if study.store.is_shared else "local"):
        went: list[tuple[str, str]] = []

        def note(what: str, much: str | int) -> None:
            if much:
                went.append((what, str(much)))

        rounds = len(study.store.rounds())
        forgotten = forget(study, name)  # before the store is written anew, so that nothing is left of it there either
        gone = study.store.forget_person(name)
        note("responses", gone["responses"])
        note("corrections", gone["corrections"])
        kept = len(study.store.rounds())
        for path in (study.folder / "models").glob("head-*"):
            if int(path.name[5:].partition(".")[0]) > kept or path.suffix == ".partial":
                path.unlink()
        if study.store.is_shared:
            study.models.note_erasure()
        note("heads trained with them", rounds - kept)
        note("mean responses and facts in the report", forgotten)
        note("exports", _remove(study.folder / "exports"))
        note("reports", _remove(study.folder / "reports"))
        note("tables of what was sorted", _remove(study.folder / "sorted.csv"))
        sessions = f"{record.sessions}, {record.seconds / 60:.1f} min" if record.sessions else ""
        note("raw recordings", sessions)
        note("decoder and calibration", "1" if record.decoder else "")
        note("files of theirs", _clear(study.folder / "people" / name) if NAME.fullmatch(name) else "")
        note("files and rows of the BIDS data set", _remove_subject(study.folder / "recordings", name))
        again = _train_again(study, progress)
        note("rounds trained again without them", again)
        note("consent", _remove(study.folder / "people" / name) if NAME.fullmatch(name) else "")
    return Erasure(name, tuple(went))


def _train_again(study: Study, progress: Progress) -> str:
    try:
        rounds = list(retrain(study, progress=progress))
    except (BrainloopError, OSError) as error:  # nothing of the person is in the way: erasing must not wait for images
        return f"not yet, the next run does it first ({error})"
    return str(len(rounds)) if rounds else ""


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise SettingsError(
            f"expected a name of up to 40 letters (a to z) and digits, as it names files of a BIDS data set; got "
            f"{name!r}: leave out spaces, accents and signs"
        )


def _find(study: Study, name: str) -> PersonRecord:
    found = people(study)
    for record in found:
        if record.name == name:
            return record
    known = ", ".join(record.name for record in found) or "nobody"
    raise StudyError(f"expected a person of whom {study.folder} holds something, got {name!r}; it knows {known}")


def _record(study: Study, name: str, responses: int, corrections: int) -> PersonRecord:
    folder = study.folder / "people" / name
    if not NAME.fullmatch(name) or not folder.is_dir():
        return PersonRecord(name, None, 0, 0.0, False, responses, corrections)
    agreed = _json(folder / "person.json").get("at")
    sessions = [path.parent for path in folder.glob("*/meta.json")]
    seconds = sum(map(_seconds, sessions))
    decoder = (folder / "decoder.safetensors").exists() or (folder / "keys.json").exists()
    return PersonRecord(name, agreed, len(sessions), seconds, decoder, responses, corrections)


def _seconds(session: Path) -> float:
    headset, stamps = _json(session / "meta.json").get("headset"), session / "times.f64"
    if headset:
        return stamps.stat().st_size / 8 / headset["sfreq"] if stamps.exists() else 0.0
    when = []  # without a headset there are only events: what was shown, and the presses
    with suppress(OSError):
        for line in (session / "events.jsonl").read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, KeyError, TypeError):
                when.append(float(json.loads(line)["t"]))
    return max(when) - min(when) if when else 0.0


def _json(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # lost or damaged: the person is listed all the same
    return said if isinstance(said, dict) else {}


def _folders(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_dir())


def _own_folders(study: Study, name: str) -> Iterator[Path]:
    """Give the folders that hold nothing but what is the person's."""
    if NAME.fullmatch(name):
        yield from _folders(study.folder / "people", name)
        yield from _folders(study.folder / "recordings", f"**/sub-{name}")


def _remove(folder: Path) -> str:
    """Remove a file, or a folder with all that is in it, and say what that was."""
    said = _size(folder)
    if folder.is_dir():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)
    return said


def _clear(folder: Path) -> str:
    """Remove all that a person's folder holds but the consent, and say what that was."""
    entries = [path for path in folder.iterdir() if path.name != "person.json"] if folder.is_dir() else []
    said = _size(*entries)
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    return said


def _remove_subject(root: Path, name: str) -> str:
    """Remove a subject's folders and rows from a BIDS data set; the whole set, if it was the last subject."""
    if not root.is_dir() or not NAME.fullmatch(name):
        return ""
    folders = [*_folders(root, f"**/sub-{name}"), *_folders(root, f".partial-{name}-*")]  # of an export, killed
    said = _size(*folders)
    for folder in folders:
        shutil.rmtree(folder)
    for cut_short in root.glob("**/*.tsv.partial"):
        cut_short.unlink()
    rows = 0
    for table in _tables(root):
        kept, theirs = _divide(table, name)
        if theirs:
            rows += len(theirs)
            write_whole(table, b"".join(kept))
    if not _folders(root, "sub-*"):
        _remove(root)
    return ", ".join(part for part in (said, f"{rows} rows" if rows else "") if part)


def _tables(root: Path) -> list[Path]:
    """List a BIDS data set's tables of participants."""
    return sorted([*root.glob("*.tsv"), *root.glob("phenotype/*.tsv")])


def _divide(table: Path, name: str) -> tuple[list[bytes], list[bytes]]:
    """Divide a table's lines into its header and those of others, and those of a person."""
    lines = table.read_bytes().splitlines(keepends=True)
    header = lines[0].decode("utf-8-sig").strip().split("\t") if lines else []
    if "participant_id" not in header:
        return lines, []
    column = header.index("participant_id")
    theirs = [line for line in lines[1:] if line.decode().rstrip("\r\n").split("\t")[column] == f"sub-{name}"]
    return [line for line in lines if line not in theirs], theirs


def _size(*paths: Path) -> str:
    """Say how many files lie there, and how large they are; nothing where there are none."""
    files = [file for path in paths for file in (path, *path.rglob("*")) if file.is_file()]
    if not files:
        return ""
    size = sum(file.stat().st_size for file in files)
    return f"{len(files)} files, {size / 1e6:.1f} MB" if size >= 1e5 else f"{len(files)} files, {size / 1e3:.1f} kB"


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]) if rows else ["path"])
        table.writeheader()
        table.writerows(rows)
