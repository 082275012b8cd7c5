"""An audit of a finished run: desiderata, tests of causal graphs, effects, estimates under confounding, mediation."""

from causal_iqa.analysis.audit.assembly import audit, read_graphs
from causal_iqa.analysis.audit.data import AuditData, gather
from causal_iqa.analysis.audit.observational_records import NotDone, ObservationalStudy
from causal_iqa.analysis.audit.records import SCHEMA, Audit
from causal_iqa.analysis.audit.sample import at_most
from causal_iqa.analysis.audit.transfer_records import Transfer

__all__ = [
    "SCHEMA",
    "Audit",
    "AuditData",
    "NotDone",
    "ObservationalStudy",
    "Transfer",
    "at_most",
    "audit",
    "gather",
    "read_graphs",
]
