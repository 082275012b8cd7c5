"""The table of conventional metrics."""

from causal_iqa.metrics import full_reference, no_reference, spec

TABLE = spec.table_of(full_reference.SPECS + no_reference.SPECS)
