"""Which files are recordings, and which of them are the runs of one recording session: a matter of names only."""

import re
from collections.abc import Sequence
from pathlib import Path

from brainloop.errors import RecordingError

__all__ = ["EXTENSIONS", "dataset", "entities", "find_sessions", "stem"]

EXTENSIONS = (".vhdr", ".fif", ".fif.gz", ".edf", ".bdf", ".set", ".cnt", ".gdf", ".mff", ".xdf", ".xdfz")
"""What is looked for in a folder; a file that is named may be anything `mne.io.read_raw` or pyxdf reads."""


def find_sessions(paths: Sequence[Path | str]) -> dict[str, list[Path]]:
    """Find the recording sessions among files and folders.

    Files in one folder whose BIDS names differ only in `run` are the runs of one session; any other file is a session
    by itself.

    Parameters
    ----------
    paths : sequence of path
        Files and folders; a folder gives every recording in it.

    Returns
    -------
    dict of str to list of path
        The files of each session, in the order of its runs, by the session's name; in the order of the paths.

    Raises
    ------
    RecordingError
        If a path is missing, or a folder holds no recording.
    """
    sessions: dict[Path, list[Path]] = {}
    for path in _files(paths):
        # What is left when `run` is taken out of a BIDS name is the same for the runs of one session only.
        same = re.sub(r"_(run|split)-[^_.]+", "", path.name) if entities(path) else path.name
        sessions.setdefault(path.parent / same, []).append(path)
    names = [_session_name(key) for key in sessions]
    found = {}
    for key, name, files in zip(sessions, names, sessions.values(), strict=True):
        unique = name if names.count(name) == 1 else f"{dataset(key.parent).name}/{key.name}"
        # Two data sets may be called the same as well.
        found[unique if unique not in found else str(key)] = sorted(files, key=_run_order)
    return found


def stem(path: Path) -> str:
    """Give a file's name without its suffix, `.fif.gz` being one."""
    return path.name.removesuffix(".gz").rpartition(".")[0] or path.name


def entities(path: Path) -> dict[str, str]:
    """Give the BIDS entities of a file's name, {} for any other name."""
    if not re.fullmatch(r"sub-[^_-]+(_[a-z]+-[^_-]+)*(_[A-Za-z]+)?", stem(path)):
        return {}
    return dict(part.split("-", 1) for part in stem(path).split("_") if "-" in part)


def dataset(folder: Path) -> Path:
    """Give the BIDS data set that a folder belongs to, else the folder itself."""
    for above in [folder, *folder.parents]:
        if (above / "dataset_description.json").is_file():
            return above
    return folder


def _files(paths: Sequence[Path | str]) -> list[Path]:
    """Give every file to read, once; those in a folder are sorted."""
    if isinstance(paths, str | Path):
        paths = [paths]
    found: dict[Path, Path] = {}  # by what a link leads to
    for path in (Path(path).expanduser().absolute() for path in paths):
        if not path.exists():
            raise RecordingError(f"no recording at {path}: give a file or a folder that is there")
        files = [path]
        if path.is_dir() and path.suffix != ".mff":
            files = sorted(file for file in path.rglob("*") if _is_recording(path, file))
            if not files:
                raise RecordingError(
                    f"expected recordings ({', '.join(EXTENSIONS)}) in the folder {path}, found none: "
                    "give the folder of a BIDS data set, or the files themselves"
                )
        for file in files:
            found.setdefault(file.resolve(), file)
    if not found:
        raise RecordingError("expected at least one recording, got no path")
    return list(found.values())


def _is_recording(folder: Path, file: Path) -> bool:
    """Whether a file in a folder is the first file of a recording, and none of a data set's other data."""
    inside = file.relative_to(folder).parts
    if not file.name.lower().endswith(EXTENSIONS) or any(part.startswith(".") for part in inside):
        return False
    if {"derivatives", "sourcedata", "code", "stimuli"} & set(inside[:-1]):
        return False
    # MNE finds the later parts of a long FIF by itself: name-1.fif beside name.fif, or split-02 and so on.
    first = re.sub(r"-\d+(?=\.fif)", "", file.name)
    is_part = first != file.name and file.with_name(first).exists()
    return not is_part and entities(file).get("split", "1").lstrip("0") == "1"


def _session_name(path: Path) -> str:
    """Name of a recording session: a BIDS name's entities without `run`, any other name as it is."""
    named = entities(path).items()
    return "_".join(f"{key}-{value}" for key, value in named if key not in ("run", "split")) or stem(path)


def _run_order(path: Path) -> tuple[int, str]:
    run = entities(path).get("run", "0")
    return (int(run) if run.isdecimal() else 0, path.name)
