"""An audit of a finished run: desiderata, tests of causal graphs, effects, estimates under confounding, mediation."""

from causal_iqa.analysis.audit.assembly import SCHEMA, audit, read_graphs, verdicts
from causal_iqa.analysis.audit.data import AuditData, gather
from causal_iqa.analysis.audit.sample import at_most

__all__ = ["SCHEMA", "AuditData", "at_most", "audit", "gather", "read_graphs", "verdicts"]
