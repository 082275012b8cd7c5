"""BLAS runs on one thread inside what asks for it, and as before outside."""

import threadpoolctl

from causal_iqa import _blas


def _threads():
    return [one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]


@_blas.one_thread
def _inside(value):
    """Says what it does."""
    return value, _threads()


def test_one_thread_inside_and_as_before_outside():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = _threads()
        value, inside = _inside(7)
        assert value == 7 and _inside.__doc__ == "Says what it does."
        assert inside and set(inside) == {1}
        assert _threads() == before and set(before) == {2}
