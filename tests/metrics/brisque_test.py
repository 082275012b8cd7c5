"""Regressions of BRISQUE that do not fit."""

import numpy as np
import pytest

from causal_iqa import _checks
from causal_iqa.metrics import _brisque


def model(seed: int = 0, count: int = 40) -> tuple[bytes, _brisque.SupportVectors]:
    """A libsvm file of random vectors, with the cancelling weights of the original."""
    rng = np.random.default_rng(seed)
    weights = np.round(np.where(rng.random(count) < 0.8, 1024, rng.uniform(0, 1024, count)), 3)
    weights *= np.where(np.arange(count) % 2, 1, -1)
    rows = [
        f"{w:g} " + " ".join(f"{i}:{v:g}" for i, v in enumerate(rng.uniform(-1, 1, 36), 1) if i != 7) for w in weights
    ]
    head = f"svm_type epsilon_svr\nkernel_type rbf\ngamma 0.05\nnr_class 2\ntotal_sv {count}\nrho -153.591\nSV\n"
    content = (head + "\n".join(rows) + "\n").encode()
    return content, _brisque.read_libsvm(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace("rbf", "linear"), "kernel_type rbf"),
        (lambda text: text.rstrip().rpartition("\n")[0], "39 support vectors, total_sv says 40"),
        (lambda text: text.replace("36:", "37:", 1), "feature 37"),
        (lambda text: text.replace(" 1:", " 1:nan", 1).replace("nan", "nan ", 1), "damaged|finite"),
        (lambda text: "hello", "svm_type"),
    ],
)
def test_unfit_regressions_are_refused(damage, message):
    with pytest.raises(_checks.InputError, match=message):
        _brisque.read_libsvm(damage(model()[0].decode()).encode())
