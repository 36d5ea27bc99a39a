"""Label Studio's JSON export: tasks, each with an image and the choices of those who annotated it."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from brainloop._types import Progress
from brainloop.annotations.columns import SAMPLE, Asked, path_of
from brainloop.annotations.json_text import answers, dump_json, load_json
from brainloop.annotations.lookup import Lookup
from brainloop.annotations.values import Amendment, Change, Entry, Problem
from brainloop.errors import AnnotationError

__all__ = ["LabelStudio", "are_tasks", "open_label_studio"]


def are_tasks(content: Any) -> bool:
    """Whether JSON is a list of Label Studio's tasks."""
    return isinstance(content, list) and any(isinstance(task, dict) and "data" in task for task in content[:SAMPLE])


@dataclass(frozen=True)
class LabelStudio:
    """A list of tasks.

    An image is of the class that all who annotated it chose, but for annotations that were cancelled. One that an
    amendment added, which its ``original_label`` tells, is the last word.
    """

    format: ClassVar[str] = "label-studio"
    path: Path
    image_key: str
    control: str | None

    def entries(self, progress: Progress) -> Iterator[Entry | Problem]:
        """Read task by task."""
        tasks = self._load()
        for number, task in enumerate(tasks, start=1):
            progress(number, len(tasks))
            identity = task.get("id", number) if isinstance(task, dict) else number
            where = f"{self.path.name}, task {str(identity)[:40]}"
            name = _image(task, self.image_key)
            if name is None:
                yield Problem(where, f"expected an image as data.{self.image_key}, found none")
                continue
            chosen = [choice for one in _counting(task) for choice in self._choices(one)]
            for label in chosen or [""]:
                yield Entry(where, name, label)

    def amended(self, amendment: Amendment) -> bytes:
        """Keep every annotation, and add one beside those that change."""
        tasks = self._load()
        for task in tasks:
            name = _image(task, self.image_key)
            for one in _counting(task) if name is not None else []:
                chosen = self._choices(one)
                if name is not None and chosen and (change := amendment.of(name, chosen[0])):
                    task["annotations"].append(self._added(one, change))
                    break
        return dump_json(tasks).encode()

    def _choices(self, annotation: dict[str, Any]) -> list[str]:
        return [choice for item in self._items(annotation) for choice in answers(item["value"])]

    def _items(self, annotation: dict[str, Any]) -> list[dict[str, Any]]:
        result = annotation.get("result")
        return [
            item
            for item in (result if isinstance(result, list) else [])
            if isinstance(item, dict) and item.get("type") == "choices" and isinstance(item.get("value"), dict)
            if self.control is None or item.get("from_name") == self.control
        ]

    def _added(self, given: dict[str, Any], change: Change) -> dict[str, Any]:
        """Make an annotation as the given one, without an id, as Label Studio gives it one."""
        result = deepcopy(self._items(given)[:1])
        result[0]["value"]["choices"] = [change.now]
        return {"result": result, "was_cancelled": False, "ground_truth": False, **change.columns}

    def _load(self) -> list[Any]:
        tasks = load_json(self.path)
        if not isinstance(tasks, list):
            raise AnnotationError(f"expected a list of Label Studio's tasks in {self.path}")
        return tasks


def open_label_studio(path: Path, tasks: Sequence[Any], lookup: Lookup, asked: Asked) -> LabelStudio:
    """Find under which key of their data tasks have their image.

    Raises
    ------
    AnnotationError
        If there is none.
    """
    data = [task["data"] for task in tasks[:SAMPLE] if isinstance(task, dict) and isinstance(task.get("data"), dict)]
    keys = list(dict.fromkeys(key for one in data for key in one))
    rows = [[value if isinstance(value := one.get(key), str) else "" for key in keys] for one in data]
    image_key = asked.path
    if image_key is None and keys:
        column = path_of([key.casefold() for key in keys], rows, lookup)
        image_key = None if column is None else keys[column]
    if image_key is None or image_key not in keys:
        raise AnnotationError(
            f"expected the image of each task of {path} in its data, under a key such as 'image', found the keys "
            f"{', '.join(map(repr, keys[:12])) or 'none'}; name the one that it is"
        )
    return LabelStudio(path, image_key, asked.label)


def _image(task: Any, key: str) -> str | None:
    data = task.get("data") if isinstance(task, dict) else None
    name = data.get(key) if isinstance(data, dict) else None
    return name.strip() if isinstance(name, str) else None


def _counting(task: dict[str, Any]) -> list[dict[str, Any]]:
    """List the annotations of a task that count."""
    given = task.get("annotations")
    given = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    amended = [one for one in given if "original_label" in one]
    return amended[-1:] or [one for one in given if not one.get("was_cancelled")]
