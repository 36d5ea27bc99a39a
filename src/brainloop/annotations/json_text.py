"""JSON from elsewhere: of limited size and depth, and its answers as words."""

import json
from pathlib import Path
from typing import Any

from brainloop.annotations.text import encoding_of
from brainloop.errors import AnnotationError

__all__ = ["LARGEST", "answers", "dump_json", "in_kind", "load_json", "parse_json"]

LARGEST = 1 << 30
"""Bytes of a JSON file, which takes up to ten times as much memory; larger tables can be CSV or JSON lines."""


def load_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    AnnotationError
        If it is larger than `LARGEST`, or not JSON.
    """
    if (size := path.stat().st_size) > LARGEST:
        raise AnnotationError(
            f"expected a JSON file of {LARGEST / 1e9:.1f} GB or less, found {size / 1e9:.1f} GB at {path}: "
            "save it as CSV or as JSON lines, which are read line by line"
        )
    try:
        return parse_json(path.read_bytes().decode(encoding_of(path), "replace"))
    except ValueError as error:
        raise AnnotationError(f"expected JSON in {path}: {error}; export the annotations again") from error


def parse_json(text: str) -> Any:
    """Parse JSON; nested too deep, or with a number too long to be one, it is a ValueError like any other."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def dump_json(value: Any) -> str:
    """Write JSON in ASCII, in which every name survives."""
    return json.dumps(value, separators=(", ", ": "))


def answers(value: Any) -> list[str]:
    """List the different classes that an answer names: none, one, or several.

    An answer is a word, a number, a list of them, or what Label Studio makes of choices, ``{"choices": [...]}``.
    """
    match value:
        case str():
            return [value.strip()] if value.strip() else []
        case bool() | int() | float():
            return [str(value)]
        case list():
            return list(
                dict.fromkeys(answer for item in value if not isinstance(item, list) for answer in answers(item))
            )
        case {"choices": list() as choices}:
            return answers(choices)
    return []


def in_kind(old: Any, new: str) -> Any:
    """Spell a new class as the old one was: as a number, in a list, as choices."""
    match old:
        case bool():
            return new
        case int():
            try:
                return int(new)
            except ValueError:
                return new
        case list():
            return [new]
        case {"choices": list()}:
            return {**old, "choices": [new]}
    return new
