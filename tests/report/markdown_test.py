"""Names in Markdown are text, whatever stands in them."""

import html

import pytest

from causal_iqa.report import markdown


@pytest.mark.parametrize("text", ["a|b", "*x*", "_x_", "<b>", "[l](u)", "`c`", "a\nb", "# h", "~x~", "a\\b"])
def test_escaped_text_says_the_same_without_its_signs(text):
    found = markdown.escaped(text)
    assert "\n" not in found and "<" not in found
    signs = [i for i, sign in enumerate(found) if sign in "|*`[]()#~" and (i == 0 or found[i - 1] != "\\")]
    assert signs == []
    assert html.unescape(found.replace("\\\\", "\0").replace("\\", "").replace("\0", "\\")) == " ".join(text.split())


def test_a_code_span_shows_what_it_can():
    assert markdown.name("stages_free@a+b[m=5]") == "`stages_free@a+b[m=5]`" and markdown.name("C -> X") == "`C -> X`"
    assert markdown.name("a|b") == "a\\|b" and markdown.name("") == ""
    assert markdown.names(["a", "b|c"]) == "`a`, b\\|c"


def test_bars_end_no_cell():
    lines = markdown.table(["a", "b"], [["x|y", "p\nq"], ["u\\|v", ""]])
    assert lines == ["| a | b |", "| --- | --- |", "| x\\|y | p q |", "| u\\|v |  |"]
