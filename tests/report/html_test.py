"""A page in one file."""

import base64
import re

import numpy as np

from causal_iqa import report
from causal_iqa.alignment import Alignment, Estimate

_NAN = Estimate(np.nan, np.nan, np.nan)


def _row(name, rho, family="full_reference"):
    interval = Estimate(rho, rho - 0.05, min(1.0, rho + 0.05))
    return report.Row(name, family, Alignment(interval, interval, interval))


_ROWS = [
    _row("psnr", 0.3),
    report.Row("entropy", "no_reference", Alignment(_NAN, Estimate(-0.001, -0.1, 0.1), _NAN)),
    _row("regularised_witness/cifar_resnet20/stage3/true_class_share", 0.999, "task_guided"),
    _row("total_variation", -0.9, "no_reference"),
]


def test_page_escapes_and_embeds():
    data = report.png(report.alignment_bars(_ROWS[:1]))
    sections = [
        report.Section("A & B", [report.Text("<script>alert(1)</script>"), report.Text("a  b\nc", fixed=True)]),
        report.Section("Figures", [report.Figure(data, 'bars of "psnr"')]),
    ]
    text = report.page("Study <1>", sections)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "<title>Study &lt;1&gt;</title>" in text
    assert "<h2>A &amp; B</h2>" in text
    assert "<pre>a  b\nc</pre>" in text
    assert 'alt="bars of &quot;psnr&quot;"' in text
    embedded = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert [base64.b64decode(x) for x in embedded] == [data]
    assert not re.search(r"(?:src|href)=\"(?!data:)", text)
    assert "http" not in re.sub(r'base64,[^"]+', "", text)
    assert text == report.page("Study <1>", sections)
