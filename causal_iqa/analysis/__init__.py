"""A finished score table becomes findings: numbers with their intervals, no text and no figure."""
