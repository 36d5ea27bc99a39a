"""The kinds of head, by the names that systems and saved heads use."""

from collections.abc import Callable
from pathlib import Path

from brainloop._files import load_tensors
from brainloop.classifier.head import Head, train_head
from brainloop.classifier.mlp import Mlp, train_mlp
from brainloop.errors import StudyError

__all__ = ["HEADS", "AnyHead", "load_head"]

AnyHead = Head | Mlp
"""A trained head: gives log-odds, their variance and a probability from features."""

HEADS: dict[str, tuple[str, Callable[..., AnyHead]]] = {
    "linear": ("linear", train_head),
    "kernel": ("kernel", train_head),
    "mlp": ("linear", train_mlp),
}
"""A head's name in `brainloop.classifier.features.FEATURES`, and what trains it on those features; all trainers are
called as `train_head`."""


def load_head(path: Path) -> AnyHead:
    """Read a head of any kind.

    Raises
    ------
    StudyError
        If there is none at the path.
    """
    kinds: dict[str, type[Head] | type[Mlp]] = {"linear": Head, "mlp": Mlp}
    _, words = load_tensors(path)
    kind = words.get("head", "something else")
    if kind not in kinds:
        raise StudyError(f"expected a head ({', '.join(kinds)}) at {path}; {kind} came; run the study again")
    return kinds[kind].load(path)
