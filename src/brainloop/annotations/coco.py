"""COCO: images, annotations and categories in one JSON file, brought together by their ids."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from brainloop._types import Progress
from brainloop.annotations.json_text import answers, dump_json, load_json
from brainloop.annotations.values import Amendment, Entry, Problem
from brainloop.errors import AnnotationError

__all__ = ["Coco", "is_coco"]

_LISTS = ("images", "annotations", "categories")


def is_coco(content: Any) -> bool:
    """Whether JSON is laid out as COCO has it."""
    return isinstance(content, dict) and all(isinstance(content.get(name), list) for name in _LISTS)


@dataclass(frozen=True)
class Coco:
    """A file in COCO's format. An image is of the category that its annotations have, boxes or not."""

    format: ClassVar[str] = "coco"
    path: Path

    def entries(self, progress: Progress) -> Iterator[Entry | Problem]:
        """Read annotation by annotation."""
        content = self._load()
        files, names = _files(content), _names(content)
        for number, annotation in enumerate(content["annotations"], start=1):
            progress(number, len(content["annotations"]))
            where = f"{self.path.name}, annotation {number}"
            if not isinstance(annotation, dict):
                yield Problem(where, "is no JSON object")
                continue
            name, label = files.get(_id(annotation, "image_id")), names.get(_id(annotation, "category_id"))
            if name is None:
                yield Problem(where, f"expected the id of an image, found {str(annotation.get('image_id'))[:40]}")
            elif label is None:
                yield Problem(where, f"expected the id of a category, found {str(annotation.get('category_id'))[:40]}")
            else:
                yield Entry(where, name, label)

    def amended(self, amendment: Amendment) -> bytes:
        """Keep everything; an annotation that changes gets another category, a new one if need be."""
        content = self._load()
        files, names = _files(content), _names(content)
        ids = {name: id_ for id_, name in reversed(names.items())}
        for annotation in content["annotations"]:
            if not isinstance(annotation, dict):
                continue
            name, label = files.get(_id(annotation, "image_id")), names.get(_id(annotation, "category_id"))
            change = amendment.of(name, label) if name is not None and label is not None else None
            if change is None:
                continue
            if change.now not in ids:
                ids[change.now] = max((id_ for id_ in ids.values() if isinstance(id_, int)), default=0) + 1
                content["categories"].append({"id": ids[change.now], "name": change.now})
            annotation |= {"category_id": ids[change.now], **change.columns}
        return dump_json(content).encode()

    def _load(self) -> dict[str, Any]:
        content = load_json(self.path)
        if not is_coco(content):
            raise AnnotationError(f"expected lists of {', '.join(_LISTS)} in {self.path}, as COCO has them")
        return dict(content)


def _id(of: dict[str, Any], key: str) -> int | str | None:
    value = of.get(key)
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _files(content: dict[str, Any]) -> dict[int | str | None, str]:
    images = [image for image in content["images"] if isinstance(image, dict)]
    names = {_id(image, "id"): image.get("file_name") for image in images}
    return {id_: name.strip() for id_, name in names.items() if id_ is not None and isinstance(name, str)}


def _names(content: dict[str, Any]) -> dict[int | str | None, str]:
    categories = [category for category in content["categories"] if isinstance(category, dict)]
    names = {_id(category, "id"): answers(category.get("name")) for category in categories}
    return {id_: name[0] for id_, name in names.items() if id_ is not None and len(name) == 1}
