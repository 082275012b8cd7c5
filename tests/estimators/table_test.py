"""What the table of estimators says."""

from causal_iqa import _reads, estimators


def test_table_says_what_each_estimator_needs():
    for name, spec in estimators.TABLE.items():
        assert spec.name == name
        assert spec.family == estimators.FAMILY == spec.passport()["family"]
        assert spec.level in estimators.LEVELS
        assert spec.needs and set(spec.reads) <= set(_reads.READS) and len(spec.reads) == len(set(spec.reads))
        assert spec.convention
        assert spec.reference
    assert {name for name, spec in estimators.TABLE.items() if "image_label" in spec.reads} == {
        "leep",
        "log_me",
        "h_score",
    }
    scaled = {name for name in estimators.TABLE if name.endswith("_scaled")}
    thresholds = {"difference_of_confidences", "atc_confidence", "atc_entropy", "doc_regression"}
    assert {name for name, spec in estimators.TABLE.items() if "clean_labels" in spec.reads} == scaled | thresholds
    others = {name for name, spec in estimators.TABLE.items() if "other_performance" in spec.reads}
    assert others == {"doc_regression", "doc_regression_scaled"}
