"""The compiled flow and the main job built on it: config -> score table, resumable and sharded over devices."""

from causal_iqa._locks import lock
from causal_iqa.pipeline.arrangement import quality_and_performance
from causal_iqa.pipeline.columns import Column, Output, ProgramState, Scorer, Seen
from causal_iqa.pipeline.config import (
    ANCHOR_KINDS,
    CLEAN,
    DIRECTIONS,
    SCORE_AT,
    Condition,
    StudyConfig,
)
from causal_iqa.pipeline.degraded import degraded_images, sample_images
from causal_iqa.pipeline.execution import Execution
from causal_iqa.pipeline.finished import Run, read_run
from causal_iqa.pipeline.like_run import prepare_like
from causal_iqa.pipeline.means import mean_over_images, mean_over_networks
from causal_iqa.pipeline.measured import ACCURACY, Measure, clusters, measure_of, performance_rows
from causal_iqa.pipeline.network_choice import ALL_NETWORKS, NetworkChoice
from causal_iqa.pipeline.parts import ScoreTable
from causal_iqa.pipeline.performance import PerformanceTable, attach, join, read_table
from causal_iqa.pipeline.program import make_program
from causal_iqa.pipeline.provenance import Provenance
from causal_iqa.pipeline.rows import choose_batch
from causal_iqa.pipeline.running import run, run_share
from causal_iqa.pipeline.sanity import CleanAccuracy, CleanPerformance, clean_accuracy, clean_performance, first_look
from causal_iqa.pipeline.scored import (
    CAUSE_IS,
    Diagnose,
    InMemory,
    Part,
    PartScorer,
    parts_of,
    score_sets,
    stamp_of,
)
from causal_iqa.pipeline.scored_sets import Sample, Scored, read_sets
from causal_iqa.pipeline.scoring import NO_REFERENCE, Scoring, ScoringConfig
from causal_iqa.pipeline.scoring import prepare as prepare_scoring
from causal_iqa.pipeline.scoring_store import ScoringStore
from causal_iqa.pipeline.store import PART_IMAGES, Store
from causal_iqa.pipeline.study import PREPARATION, Study, prepare
from causal_iqa.pipeline.totals import FILE as TOTALS_FILE
from causal_iqa.pipeline.totals import SetTotals, Spread, Totals, merge_totals, part_totals, total_parts
from causal_iqa.pipeline.views import View

__all__ = [
    "ACCURACY",
    "ALL_NETWORKS",
    "ANCHOR_KINDS",
    "CAUSE_IS",
    "CLEAN",
    "DIRECTIONS",
    "NO_REFERENCE",
    "PART_IMAGES",
    "PREPARATION",
    "SCORE_AT",
    "TOTALS_FILE",
    "CleanAccuracy",
    "CleanPerformance",
    "Column",
    "Condition",
    "Diagnose",
    "Execution",
    "InMemory",
    "Measure",
    "NetworkChoice",
    "Output",
    "Part",
    "PartScorer",
    "PerformanceTable",
    "ProgramState",
    "Provenance",
    "Run",
    "Sample",
    "ScoreTable",
    "Scored",
    "Scorer",
    "Scoring",
    "ScoringConfig",
    "ScoringStore",
    "Seen",
    "SetTotals",
    "Spread",
    "Store",
    "Study",
    "StudyConfig",
    "Totals",
    "View",
    "attach",
    "choose_batch",
    "clean_accuracy",
    "clean_performance",
    "clusters",
    "degraded_images",
    "first_look",
    "join",
    "lock",
    "make_program",
    "mean_over_images",
    "mean_over_networks",
    "measure_of",
    "merge_totals",
    "part_totals",
    "parts_of",
    "performance_rows",
    "prepare",
    "prepare_like",
    "prepare_scoring",
    "quality_and_performance",
    "read_run",
    "read_sets",
    "read_table",
    "run",
    "run_share",
    "sample_images",
    "score_sets",
    "stamp_of",
    "total_parts",
]
