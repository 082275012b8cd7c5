"""A page in one file."""

import base64
import re

from causal_iqa import report
from tests.report.rows import ROWS


def test_page_escapes_and_embeds():
    data = report.png(report.alignment_bars(ROWS[:1]))
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
