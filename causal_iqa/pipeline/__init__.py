"""The compiled flow and the main job built on it: config -> score table, resumable and sharded over devices."""

from causal_iqa.pipeline.config import (
    ALL_NETWORKS,
    ANCHOR_KINDS,
    CLEAN,
    SCORE_AT,
    Condition,
    NetworkChoice,
    StudyConfig,
    fingerprint,
)
from causal_iqa.pipeline.execution import Execution
from causal_iqa.pipeline.program import Column, Scorer, View, make_program
from causal_iqa.pipeline.scoring import ImageScores, ScoringConfig, score_images, summary_table, write_scores
from causal_iqa.pipeline.store import (
    PART_IMAGES,
    Run,
    ScoreTable,
    Store,
    read_parts,
    read_run,
    write_atomically,
    write_json,
)
from causal_iqa.pipeline.study import Study, choose_batch, prepare, quality_and_performance, run

__all__ = [
    "ALL_NETWORKS",
    "ANCHOR_KINDS",
    "CLEAN",
    "PART_IMAGES",
    "SCORE_AT",
    "Column",
    "Condition",
    "Execution",
    "ImageScores",
    "NetworkChoice",
    "Run",
    "ScoreTable",
    "Scorer",
    "ScoringConfig",
    "Store",
    "Study",
    "StudyConfig",
    "View",
    "choose_batch",
    "fingerprint",
    "make_program",
    "prepare",
    "quality_and_performance",
    "read_parts",
    "read_run",
    "run",
    "score_images",
    "summary_table",
    "write_atomically",
    "write_json",
    "write_scores",
]
