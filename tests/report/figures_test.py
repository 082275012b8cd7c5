"""Tables that fit, figures that show what they are given, a page that needs nothing else."""

import io

import matplotlib
import numpy as np
import pytest
from matplotlib import _pylab_helpers, colors
from PIL import Image

from causal_iqa import causal, report
from causal_iqa.alignment import Estimate
from tests.report.rows import ROWS

_NAMES = ["fog", "fog", "blur", "blur"]
_SEVERITIES = [1, 5, 1, 5]
_ACCURACY = np.array([0.9, 0.5, 0.8, 0.2])


def _scatter(**options):
    quality = {"psnr": np.array([30.0, 20.0, 28.0, np.nan]), "ssim": np.array([0.9, 0.5, 0.8, 0.2])}
    return report.accuracy_against_quality(quality, _ACCURACY, _NAMES, _SEVERITIES, **options)


def test_scatter_has_a_point_per_defined_condition():
    figure = _scatter(rho={"psnr": np.nan, "ssim": Estimate(0.5, 0.4, 0.6)})
    psnr, ssim = figure.axes
    points = {
        panel: sorted(tuple(p) for dots in panel.collections for p in dots.get_offsets().tolist())
        for panel in (psnr, ssim)
    }
    assert points[psnr] == [(20.0, 0.5), (28.0, 0.8), (30.0, 0.9)]
    assert points[ssim] == [(0.2, 0.2), (0.5, 0.5), (0.8, 0.8), (0.9, 0.9)]
    assert psnr.get_title() == "psnr\nρ = undefined"
    assert ssim.get_title() == "ssim\nρ = 0.50"
    mild, severe = ssim.collections[0].get_sizes()
    assert severe > mild > 0


def test_groups_share_a_colour_and_not_a_marker():
    groups = {"fog": "weather", "blur": "weather"}
    apart, together = _scatter().axes[0].collections, _scatter(groups=groups).axes[0].collections
    assert len(apart) == len(together) == 2
    colour = [[colors.to_hex(dots.get_facecolor()[0]) for dots in pair] for pair in (apart, together)]
    assert colour[0][0] != colour[0][1]
    assert colour[1][0] == colour[1][1]
    outlines = [dots.get_paths()[0].vertices for dots in together]
    assert outlines[0].shape != outlines[1].shape


def test_bars_have_the_lengths_of_the_correlations():
    axes = report.alignment_bars(ROWS).axes[0]
    between, within, pooled = ([bar.get_width() for bar in bars] for bars in axes.containers)
    assert between == pooled == pytest.approx([0.999, 0.3, -0.9, 0.0])
    assert within == pytest.approx([0.999, 0.3, -0.9, -0.001])
    ends = sorted((line[0, 0], line[1, 0]) for bars in axes.collections for line in bars.get_segments())
    assert len(ends) == 10
    assert ends[0] == pytest.approx((-0.95, -0.85))
    assert sorted(text.get_text() for text in axes.texts) == ["between undefined", "pooled undefined"]
    assert axes.get_xlim()[0] < -0.95


def test_dose_response_draws_means_and_scales_on_demand():
    values = np.array([[4.0], [2.0], [3.0], [0.0]])
    curves = {"q": causal.dose_response(values, _NAMES, _SEVERITIES)}
    for normalise, expected in ((False, [[4, 2], [3, 0]]), (True, [[1, 0.5], [0.75, 0]])):
        figure = report.dose_response(curves, normalise=normalise)
        assert [axes.get_title() for axes in figure.axes] == ["fog", "blur"]
        np.testing.assert_allclose([axes.lines[0].get_ydata() for axes in figure.axes], expected)
    constant = {"q": causal.dose_response(np.ones((4, 1)), _NAMES, _SEVERITIES)}
    assert report.dose_response(constant, normalise=True).axes[0].lines[0].get_ydata().tolist() == [0.5, 0.5]


@pytest.mark.parametrize("draw", [_scatter, lambda: report.alignment_bars(ROWS, title="All networks")])
def test_equal_figures_give_equal_bytes_and_no_global_state(draw, tmp_path):
    before = dict(matplotlib.rcParams)
    report.save(draw(), tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    assert data == report.png(draw())
    with Image.open(io.BytesIO(data)) as image:
        assert not set(image.info) & {"Software", "Creation Time", "date"}
        assert np.ptp(np.asarray(image.convert("L"))) > 200
    assert dict(matplotlib.rcParams) == before
    assert not _pylab_helpers.Gcf.figs


def test_refuses_what_it_cannot_draw(tmp_path):
    with pytest.raises(ValueError, match="one length C"):
        report.accuracy_against_quality({"q": np.zeros(3)}, _ACCURACY, _NAMES, _SEVERITIES)
    with pytest.raises(ValueError, match="one or more metrics"):
        report.accuracy_against_quality({}, _ACCURACY, _NAMES, _SEVERITIES)
    with pytest.raises(ValueError, match="rows"):
        report.alignment_bars([])
    with pytest.raises(ValueError, match="curves"):
        report.dose_response({"q": {}})
    with pytest.raises(ValueError, match=r"\.png"):
        report.save(report.alignment_bars(ROWS), tmp_path / "a.pdf")
    with pytest.raises(ValueError, match="PNG"):
        report.page("t", [report.Section("s", [report.Figure(b"GIF89a", "c")])])
    with pytest.raises(TypeError, match="Text or Figure"):
        report.page("t", [report.Section("s", ["words"])])
