"""One thread for small matrices: on several they are slower, the more so beside other work, and less repeatable."""

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["one_thread"]


def one_thread() -> AbstractContextManager[Any]:
    """Hold the libraries of linear algebra to one thread within a ``with`` statement."""
    limits: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limits


@cache
def _controller() -> ThreadpoolController:
    # Finding the loaded libraries takes 8 ms, as long as training a head: once is enough, after SciPy's own is loaded.
    import scipy.linalg  # noqa: F401

    return ThreadpoolController()
