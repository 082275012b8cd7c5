"""An audit of a finished run: desiderata, tests of causal graphs, effects, estimates under confounding, mediation."""

from causal_iqa.analysis.audit.assembly import audit, read_graphs
from causal_iqa.analysis.audit.data import AuditData, gather
from causal_iqa.analysis.audit.observational_records import MethodErrors, NotDone, ObservationalStudy
from causal_iqa.analysis.audit.records import (
    SCHEMA,
    Audit,
    Family,
    GraphTest,
    GraphTests,
    GraphVerdict,
    HolmTest,
    MetricDoses,
    MetricMediation,
)
from causal_iqa.analysis.audit.sample import at_most
from causal_iqa.analysis.audit.transfer_records import Measure, Transfer, WayErrors

__all__ = [
    "SCHEMA",
    "Audit",
    "AuditData",
    "Family",
    "GraphTest",
    "GraphTests",
    "GraphVerdict",
    "HolmTest",
    "Measure",
    "MethodErrors",
    "MetricDoses",
    "MetricMediation",
    "NotDone",
    "ObservationalStudy",
    "Transfer",
    "WayErrors",
    "at_most",
    "audit",
    "gather",
    "read_graphs",
]
