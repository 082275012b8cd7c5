"""Numbers, intervals, p-values and tables are written in one way."""

import math

import pytest

from causal_iqa import causal, pipeline
from causal_iqa.estimates import UNDEFINED, Estimate
from causal_iqa.report import format

_LENGTH = pipeline.Measure("error in mm", False, 1.0, (-math.inf, math.inf))


@pytest.mark.parametrize(
    ("value", "style", "text"),
    [
        (0.9149, format.TWO_DIGITS, "0.91"),
        (-0.08, format.BARE, "-.08"),
        (-0.001, format.BARE, ".00"),
        (0.9951, format.BARE, "1.00"),
        (0.0563, format.POINTS, "5.6"),
        (0.0563, format.SIGNED_POINTS, "+5.6"),
        (1234.5, format.EFFECT, "1.23e+03"),
        (math.nan, format.POINTS, "-"),
        (math.inf, format.EFFECT, "-"),
    ],
)
def test_numbers(value, style, text):
    assert format.number(value, style) == text


def test_estimates_show_their_intervals_where_there_are_any():
    one = Estimate(0.912, 0.88, 0.934)
    assert format.estimate(one) == "0.91 [0.88, 0.93]"
    assert format.estimate(one, format.CORRELATION, Estimate(0.912, 0.7, 0.97)) == "0.912 [0.88, 0.93] [0.70, 0.97]"
    assert format.estimate(one, format.CORRELATION, UNDEFINED) == "0.912 [0.88, 0.93]"
    assert format.estimate(one._replace(low=math.nan, high=math.nan), format.GAIN) == "+0.91"
    assert format.estimate(one._replace(high=math.nan)) == "0.91 [0.88, -]"
    assert format.estimate(one._replace(value=math.nan)) == "-"


def test_p_values_stop_where_no_law_is_known():
    shown = {0.0312: "0.031", 1e-16: "1e-16", 9e-17: "< 1e-16", 0.0: "< 1e-16"}
    assert {p: format.p_value(p) for p in shown} == shown
    assert format.p_value(math.nan) == "-"


def test_shares_and_other_measures():
    assert (format.percent(0.934), format.percent(math.nan, unknown="undefined")) == ("93 %", "undefined")
    assert format.mean(0.915, pipeline.ACCURACY) == "91.5 %" and format.mean(math.nan, pipeline.ACCURACY) == "-"
    assert format.mean(12.345, _LENGTH) == "12.3"
    assert format.number(0.0563, format.of_measure(pipeline.ACCURACY, "+")) == "+5.6"
    assert format.number(12.345, format.of_measure(_LENGTH)) == "12.3"
    assert (format.level(0.975), format.capital("error"), format.words("full_reference")) == (
        "97.5 %",
        "Error",
        "full reference",
    )


def test_one_table_in_three_ways():
    columns = [format.Column("name", 6), format.Column("n", 4, ">"), format.Column("<b>", 5, gap=1)]
    table = format.Table(columns, [["a", "1", "x|y"], ["long", "23"]])
    assert table.text() == "name       n <b>\n------------------\na          1 x|y\nlong      23\n"
    assert table.markdown().splitlines()[0] == "| name | n | <b> |"
    assert table.markdown().splitlines()[2] == r"| a | 1 | x\|y |"
    assert "<th>&lt;b&gt;</th>" in table.html() and "<td>x|y</td>" in table.html()
    assert table.html().count("<tr>") == 3 and format.Table.of(["a"], []).html().count("<th>") == 1


def test_the_legend_of_families_fits_a_terminal_and_breaks_between_them():
    legend = format.families_legend(sorted(causal.FAMILIES))
    assert max(map(len, legend.splitlines())) <= format.TERMINAL and "\xa0" not in legend
    assert legend.splitlines()[1].strip().startswith(("free - label free", "output - "))
    assert format.families_legend([]) == "" == format.families_legend(["of my own"])
    assert format.family("of_my_own") == "of my own"


def test_names_are_cut_in_the_middle():
    assert format.cut("regularised_witness", 10) == "regu..ness"
    assert [len(format.cut("x" * 30, width)) for width in (3, 9, 30, 31)] == [3, 9, 30, 30]
