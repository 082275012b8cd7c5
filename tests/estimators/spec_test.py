"""Rows of estimators: what a short form fills in."""

from causal_iqa import estimators
from causal_iqa.estimators import spec


def test_an_estimator_per_image_has_a_column_of_its_name_unless_told():
    own = spec.per_image("largest", max, "logits", "the largest", "nobody")
    assert (own.column, own.sign, own.level, own.reads) == ("largest", 1.0, "image", ("own_outputs",))
    kept = spec.per_image("order", max, "logits", "minus entropy", "nobody", column="entropy", sign=-1.0)
    assert (kept.column, kept.sign) == ("entropy", -1.0)


def test_temperature_scaling_reads_clean_labels_and_says_so():
    plain, scaled = spec.both("share", max, ("confidence",), ("own_outputs",), "the share", "nobody", of="confidence")
    assert (plain.name, scaled.name) == ("share", "share_scaled") and plain.of == scaled.of == "confidence"
    assert scaled.reads == ("own_outputs", "clean_labels") and scaled.convention.endswith(": the share")
    assert plain.predicts_accuracy and plain.fn is scaled.fn


def test_an_accuracy_of_a_score_names_a_score_with_a_column():
    rows = [row for row in estimators.TABLE.values() if row.of]
    assert len(rows) >= 6
    assert all(estimators.TABLE[row.of].column and row.predicts_accuracy for row in rows)
