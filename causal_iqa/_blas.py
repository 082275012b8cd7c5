"""Linear algebra without threads of its own, where the work is many small products.

An analysis shares out its metrics among threads; threads of BLAS inside each of them only wait for each other. On two
cores that other processes used as well, a minimisation over ten prices took fifty times as long with them, and the
eigenvalues of 1000 anchors thirty times.
"""

from collections.abc import Callable
from typing import TypeVar

import threadpoolctl

Function = TypeVar("Function", bound=Callable)


def one_thread(function: Function) -> Function:
    """Returns the function with BLAS, where NumPy and SciPy call it, on one thread; afterwards it is as it was."""
    return threadpoolctl.threadpool_limits.wrap(limits=1, user_api="blas")(function)
