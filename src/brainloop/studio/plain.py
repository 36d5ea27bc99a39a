"""Values of brainloop, ready for JSON."""

from dataclasses import asdict
from typing import Any

__all__ = ["plain"]


def plain(value: Any) -> dict[str, Any]:
    """Give a dataclass as a dict, its tuples as lists."""
    return {name: list(one) if isinstance(one, tuple) else one for name, one in asdict(value).items()}
