"""The terminal: what is printed, and the bar of long work."""

from collections.abc import Iterator
from contextlib import contextmanager
from json import dumps
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from brainloop._types import Progress

__all__ = ["bar", "err", "out", "say_figures"]

# Without markup: a folder may be called `[red]`.
out = Console(highlight=False, soft_wrap=True, markup=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


@contextmanager
def bar(what: str) -> Iterator[Progress]:
    """Draw a bar, on a terminal only, that ends with the ``with`` statement."""
    columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=err, transient=True, disable=not err.is_terminal) as drawn:
        task = drawn.add_task(what, total=None)
        yield lambda done, total: drawn.update(task, completed=done, total=total)


def say_figures(figures: dict[str, Any], path: Path | None) -> None:
    """Print a bench's figures as JSON, with the machine beside them, and write them to a file if one is named."""
    from brainloop.bench.machine import machine

    text = dumps(figures | {"machine": machine()}, indent=2)
    out.print(text)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
