"""Training of small networks, with labels or without, and the weight files that it writes."""

from causal_iqa.training.config import PRECISIONS, SCHEDULES, TrainConfig
from causal_iqa.training.loop import TrainResult, evaluate, save, train
from causal_iqa.training.objectives import OBJECTIVES, Objective

__all__ = [
    "OBJECTIVES",
    "PRECISIONS",
    "SCHEDULES",
    "Objective",
    "TrainConfig",
    "TrainResult",
    "evaluate",
    "save",
    "train",
]
