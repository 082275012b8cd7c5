"""What the graph of a metric says must hold, and what interventions on the imaging condition did."""

from causal_iqa.causal.desiderata import Desiderata, Verdict, judge
from causal_iqa.causal.effects import (
    DoseResponse,
    Effect,
    average_effects,
    dose_response,
)
from causal_iqa.causal.graphs import (
    FAMILIES,
    Graph,
    Independence,
    adjustment_set,
    at_task_input,
    d_separated,
    do,
    implied_independences,
    parse,
)

__all__ = [
    "FAMILIES",
    "Desiderata",
    "DoseResponse",
    "Effect",
    "Graph",
    "Independence",
    "Verdict",
    "adjustment_set",
    "at_task_input",
    "average_effects",
    "d_separated",
    "do",
    "dose_response",
    "implied_independences",
    "judge",
    "parse",
]
