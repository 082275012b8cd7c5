"""What a study found, for people: a table, figures and one self-contained page."""

from causal_iqa.report.figures import accuracy_against_quality, alignment_bars, dose_response, learning_curve, png, save
from causal_iqa.report.html import Figure, Section, Text, page
from causal_iqa.report.tables import Row, alignment_table, rows_of

__all__ = [
    "Figure",
    "Row",
    "Section",
    "Text",
    "accuracy_against_quality",
    "alignment_bars",
    "alignment_table",
    "dose_response",
    "learning_curve",
    "page",
    "png",
    "rows_of",
    "save",
]
