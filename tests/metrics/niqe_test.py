"""NIQE's model: its fit and its file."""

import numpy as np
import pytest
import scipy.io
import scipy.ndimage
import scipy.stats

from causal_iqa import _checks, metrics
from causal_iqa.metrics import _niqe
from causal_iqa.metrics.learned import packaged as learned_packaged


def test_niqe_reads_both_kinds_of_file(tmp_path):
    packaged = learned_packaged.packaged_model()
    arrays = {"mu_prisparam": packaged.mean[None], "cov_prisparam": packaged.covariance}
    scipy.io.savemat(tmp_path / "mine.mat", arrays)
    np.savez(tmp_path / "mine.npz", **arrays)
    found = [metrics.resolve(f"niqe@{tmp_path}/mine.{kind}") for kind in ("mat", "npz")]
    assert [spec.name for spec in found] == ["niqe@mine"] * 2 and found[0].files != found[1].files
    for spec in found:
        stored = spec.fn.keywords["model"]
        np.testing.assert_array_equal(stored.mean, packaged.mean)
        np.testing.assert_array_equal(stored.covariance, packaged.covariance)


@pytest.mark.parametrize("text", ["niqe@{}/absent.npz", "brisque@{}/absent", "niqe@{}/text.npz", "niqe@{}/text.mat"])
def test_unreadable_files_are_named(tmp_path, text):
    for kind in ("npz", "mat"):
        (tmp_path / f"text.{kind}").write_text("no model")
    with pytest.raises(_checks.InputError, match=r"absent|text"):
        metrics.resolve(text.format(tmp_path))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mean": np.zeros(36)}, "expected one array named cov"),
        ({"mean": np.zeros(35), "covariance": np.eye(36)}, r"expected mean \[36\]"),
        ({"mean": np.zeros(36), "covariance": np.ones((36, 36))}, "positive definite"),
        ({"mean": np.full(36, np.nan), "covariance": np.eye(36)}, "finite"),
    ],
)
def test_unfit_pristine_models_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "model.npz", **arrays)
    with pytest.raises(_checks.InputError, match=message):
        metrics.resolve(f"niqe@{tmp_path}/model.npz")


def test_fit_is_mean_and_covariance_and_needs_blocks():
    rows = np.random.default_rng(0).normal(size=(80, 36))
    fitted = _niqe.fit(rows)
    np.testing.assert_allclose(fitted.mean, rows.mean(axis=0))
    np.testing.assert_allclose(fitted.covariance, np.cov(rows, rowvar=False))
    with pytest.raises(_checks.InputError, match="more than 36 sharp blocks, got 20"):
        _niqe.fit(rows[:20])
