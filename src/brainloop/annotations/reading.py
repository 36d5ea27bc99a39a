"""From a file or folder to annotations: find out the format, match with images, leave out contradictions."""

from dataclasses import dataclass, field
from pathlib import Path

from brainloop._types import Progress, no_progress
from brainloop.annotations.coco import Coco, is_coco
from brainloop.annotations.columns import Asked
from brainloop.annotations.folders import Metadata, class_folders, metadata_files
from brainloop.annotations.json_text import load_json, parse_json
from brainloop.annotations.label_studio import are_tasks, open_label_studio
from brainloop.annotations.lookup import Likeness, Lookup, Match, has_control
from brainloop.annotations.parquet import open_parquet
from brainloop.annotations.records import open_json_lines, open_json_list
from brainloop.annotations.table import open_table
from brainloop.annotations.text import TextFile, encoding_of
from brainloop.annotations.values import Annotations, Entry, Problem, Reader
from brainloop.errors import AnnotationError, ImageError
from brainloop.images.pool import Pool, scan

__all__ = ["read_annotations"]


def read_annotations(
    source: Path,
    pool: Pool,
    *,
    path_column: str | None = None,
    label_column: str | None = None,
    progress: Progress = no_progress,
) -> Annotations:
    """Read what a file or folder says about the images of a pool.

    What cannot be used is listed with its place and reason, and the rest goes on: rows without class or image, images
    that are not in the pool, images of which two things are said.

    Parameters
    ----------
    source : Path
        Class folders; a Hugging Face imagefolder; or a file: a table with any separator, JSON lines, Parquet, COCO's
        JSON, Label Studio's JSON or JSON-MIN.
    pool : Pool
        The images. Files that ``source`` names are looked up there and never opened.
    path_column, label_column : str or None
        Where images and classes are, by name or by number from 1; found out by default. Of Label Studio's JSON, the
        key of the image among a task's data and the name of the control tag.
    progress : Progress
        Called with what is done and what there is, in bytes, rows or files.

    Raises
    ------
    AnnotationError
        If there is no such file, nobody can tell what it is, or no annotation of it counts.
    MissingExtraError
        If it is a Parquet file and pyarrow is not installed.
    """
    source, asked = Path(source), Asked(path_column, label_column)
    try:
        if source.is_dir():
            lookup, reader = Lookup(pool, source), _open_folder(source, pool, asked)
            if isinstance(reader, tuple):
                return _read_class_folders(source, pool, reader, progress)
        else:
            lookup = Lookup(pool, source.parent)
            reader = _open(source, lookup, asked)
        return _collect(source, reader, pool, lookup, progress)
    except OSError as error:
        raise AnnotationError(f"cannot read {source}: {error.strerror or error}; give a file that can be") from error


@dataclass
class _Gathering:
    """What has been said of each image so far."""

    # Of each image: its classes, where each was said first, and how surely of this image.
    said: dict[str, dict[str, tuple[str, Likeness]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    repeated: int = 0

    def add(self, match: Match, entry: Entry) -> None:
        label = entry.label.strip()
        if why := _no_class(label):
            self.problems.append(Problem(entry.where, why))
            return
        classes = self.said.setdefault(match.path, {})
        self.repeated += label in classes
        where, likeness = classes.get(label, (entry.where, match.likeness))
        classes[label] = where, max(likeness, match.likeness)

    def done(self, source: Path, pool: Pool, names: dict[str, str], reader: Reader | None, kind: str) -> Annotations:
        labels = {}
        for image, classes in self.said.items():
            surest = max(likeness for _, likeness in classes.values())
            # A path says more than a name that happens to end as the path does.
            kept = {label: where for label, (where, likeness) in classes.items() if likeness == surest}
            self.problems += [
                Problem(where, f"names {image} less surely than {next(iter(kept.values()))}: left out")
                for label, (where, _) in classes.items()
                if label not in kept
            ]
            if len(kept) == 1:
                labels[image] = next(iter(kept))
            else:
                told = " and ".join(f"{label!r} ({where})" for label, where in kept.items())
                where = next(iter(kept.values()))
                self.problems.append(Problem(where, f"{image} is called {told}: left without annotation"))
        if not labels:
            raise AnnotationError(_nothing(source, pool, self.problems))
        unannotated = tuple(image.path for image in pool.images if image.path not in labels)
        labels = {image.path: labels[image.path] for image in pool.images if image.path in labels}
        return Annotations(source, kind, labels, tuple(self.problems), unannotated, self.repeated, names, reader)


def _collect(source: Path, reader: Reader, pool: Pool, lookup: Lookup, progress: Progress) -> Annotations:
    gathered, names, by_name = _Gathering(), {}, []
    for entry in reader.entries(progress):
        if isinstance(entry, Problem):
            gathered.problems.append(entry)
        elif not entry.name.strip():
            gathered.problems.append(Problem(entry.where, "names no image"))
        elif isinstance(match := lookup.find(entry.name), str):
            gathered.problems.append(Problem(entry.where, f"{_shown(entry.name)} {match}"))
        else:
            names[entry.name] = match.path
            gathered.add(match, entry)
            if match.likeness == Likeness.NAME:
                by_name.append((entry, match))
    if by_name:
        entry, match = by_name[0]
        told = f"{len(by_name)} images are found by their files' names alone, in other folders"
        gathered.problems.append(Problem(entry.where, f"{told}; the first: {_shown(entry.name)} as {match.path}"))
    return gathered.done(source, pool, names, reader, reader.format)


def _read_class_folders(source: Path, pool: Pool, metadata: tuple[Problem, ...], progress: Progress) -> Annotations:
    """Match by content: the same image may lie in another class folder there, which is the point."""
    is_pool = source.resolve() == pool.root.resolve()
    try:
        folders = pool if is_pool else scan(source, progress)
    except ImageError as error:
        raise AnnotationError(f"expected class folders with images or a metadata file: {error}") from error
    here, gathered = {image.hash: image.path for image in pool.images}, _Gathering(problems=list(metadata))
    for hash_, entry in class_folders(folders):
        if isinstance(entry, Problem):
            gathered.problems += [] if is_pool else [entry]
        elif hash_ not in here:
            gathered.problems.append(Problem(entry.where, "is not among the images"))
        else:
            gathered.add(Match(here[hash_], Likeness.PATH), entry)
    return gathered.done(source, pool, {}, None, "folders")


def _open_folder(folder: Path, pool: Pool, asked: Asked) -> Reader | tuple[Problem, ...]:
    """Open the metadata files of a folder, or say why those that are there tell no classes."""
    asked = Asked(asked.path or "file_name", asked.label, only_common=True)
    parts, others = [], []
    for file in metadata_files(folder):
        try:
            parts.append(_open(file, Lookup(pool, file.parent), asked))
        except AnnotationError as error:
            others.append(Problem(file.relative_to(folder).as_posix(), str(error)))
    if parts and others:
        raise AnnotationError(f"{len(parts)} metadata files of {folder} can be read, but not {others[0].reason}")
    return Metadata(folder, tuple(parts)) if parts else tuple(others)


def _open(file: Path, lookup: Lookup, asked: Asked) -> Reader:
    """Tell a file's format, by what stands in it, and open it."""
    if not file.is_file():
        raise AnnotationError(f"expected a file or folder of annotations, found nothing at {file}: give its path")
    with file.open("rb") as opened:
        head = opened.read(4)
    if not head:
        raise AnnotationError(f"expected annotations in {file}, found an empty file: export them again")
    if head == b"PAR1":
        return open_parquet(file, lookup, asked)
    match _json_kind(file):
        case "lines":
            return open_json_lines(file, lookup, asked)
        case "whole":
            content = load_json(file)
            if is_coco(content):
                return Coco(file)
            if are_tasks(content):
                return open_label_studio(file, content, lookup, asked)
            if isinstance(content, list):
                return open_json_list(file, content, lookup, asked)
            raise AnnotationError(
                f"expected COCO's lists of images, annotations and categories, or a list of tasks or objects, found "
                f"{_shown(', '.join(map(str, content)) if isinstance(content, dict) else str(content))} in {file}"
            )
    return open_table(file, lookup, asked)


def _json_kind(file: Path) -> str | None:
    """Tell JSON lines from JSON in whole, and both from what is no JSON."""
    suffix = file.suffix.lower()
    if suffix in (".csv", ".tsv", ".tab", ".txt"):
        return None
    if suffix in (".jsonl", ".ndjson"):
        return "lines"
    text = (line for _, line in TextFile(file, encoding_of(file)).lines() if line.strip())
    first, second = next(text, ""), next(text, "")
    if not first.lstrip().startswith(("{", "[")):
        return "whole" if suffix == ".json" else None
    try:
        parse_json(first)
    except ValueError:
        return "whole"
    return "lines" if second else "whole"


def _no_class(label: str) -> str:
    if not label:
        return "names no class"
    if has_control(label) or "\ufffd" in label:
        return f"the class {_shown(label)} has characters in it that are no text"
    return ""


def _nothing(source: Path, pool: Pool, problems: list[Problem]) -> str:
    if not problems:
        return f"expected annotations in {source}, found none; give another file"
    first = "; ".join(f"{one.where}: {one.reason}" for one in problems[:3])
    return (
        f"no annotation in {source} counts for an image of {pool.root}: {len(problems)} left out ({first}); give the "
        "folder of images that it was written for, or name its columns"
    )


def _shown(text: str) -> str:
    """Show a text from a file within one line of a message."""
    return repr(text if len(text) <= 120 else f"{text[:117]}...")
