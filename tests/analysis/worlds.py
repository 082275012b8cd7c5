"""A study of 40 images, two networks and two scores, made of numbers: nothing is compiled or read."""

import pathlib

import numpy as np

from causal_iqa import pipeline
from causal_iqa.analysis.audit.data import AuditData
from causal_iqa.degradations import Condition

NETWORKS, NUM_IMAGES = ("a", "b"), 40
CONDITIONS = tuple(map(Condition.parse, ("clean", "fog/1", "fog/4", "contrast/1", "contrast/4")))
CONFIG = pipeline.StudyConfig(
    networks=tuple(pipeline.NetworkChoice(name, "scene_cnn_a") for name in NETWORKS),
    degradations=("fog", "contrast"),
    severities=(1.0, 4.0),
    num_images=NUM_IMAGES,
    num_resamples=20,
)
COLUMNS = (
    pipeline.Column("noise", "noise", "no_reference", False, 32, NETWORKS, {}),
    pipeline.Column("free@eye", "free@eye", "label_free", True, 32, NETWORKS, {}, "free", ("eye",)),
)


def table(seed: int = 0, *, features: bool = True) -> pipeline.ScoreTable:
    """Scores and performance that fall with severity, and differ between images; features that noise moves."""
    rng = np.random.default_rng(seed)
    labels = np.arange(NUM_IMAGES, dtype=np.int32) % 2
    severity = np.array([condition.severity for condition in CONDITIONS])[:, None]
    quality = rng.normal(size=NUM_IMAGES) - severity / 2 + 0.3 * rng.normal(size=(len(CONDITIONS), NUM_IMAGES))
    columns = {"noise": -quality + rng.normal(size=quality.shape), "free@eye": quality}
    for name in NETWORKS:
        confidence = 1 / (1 + np.exp(-quality - 1))
        columns[f"{name}/confidence"] = confidence
        columns[f"{name}/correct"] = (rng.uniform(size=quality.shape) < confidence).astype(float)
        columns[f"{name}/prediction"] = np.where(columns[f"{name}/correct"] == 1, labels, 1 - labels)
    vectors, outputs = {}, {}
    if features:
        shift = np.eye(2, 3)[labels]
        noise = rng.normal(size=(len(CONDITIONS), NUM_IMAGES, 3)) * (0.3 + severity[..., None] / 2)
        vectors["eye/features"] = (shift + noise).astype(np.float32)
        outputs["eye/features"] = {"owner": "eye", "field": "features", "view": ""}
    ids = tuple(f"{i:02d}.png" for i in range(NUM_IMAGES))
    values = {name: np.asarray(value, np.float32) for name, value in columns.items()}
    return pipeline.ScoreTable(ids, labels, CONDITIONS, values, vectors, (), {"outputs": outputs})


def run(seed: int = 0) -> pipeline.Run:
    """The same as a finished run of no folder."""
    return pipeline.Run(pathlib.Path("nowhere"), CONFIG, COLUMNS, table(seed))


def audit_data(num_images: int = 60, seed: int = 0) -> AuditData:
    """What an audit reads: a score on which performance depends, and one that is noise."""
    rng = np.random.default_rng(seed)
    names = tuple(condition.name for condition in CONDITIONS[1:])
    severities = np.array([condition.severity for condition in CONDITIONS[1:]])
    scene = rng.normal(size=num_images)
    good = scene - severities[:, None] / 6 + 0.2 * rng.normal(size=(4, num_images))
    mean = 1 / (1 + np.exp(-good - 1))
    return AuditData(
        config=CONFIG,
        families={"good": "label_free", "noise": "no_reference"},
        degradations=("fog", "fog", "contrast", "contrast"),
        severities=severities,
        names=names,
        labels=rng.integers(0, 2, num_images),
        outcomes={"accuracy": mean, "good": good, "noise": rng.normal(size=good.shape)},
        clean={"accuracy": 1 / (1 + np.exp(-scene - 1)), "good": scene, "noise": scene + rng.normal(size=num_images)},
        rows={"a/correct": (mean > 0.5).astype(float)},
    )
