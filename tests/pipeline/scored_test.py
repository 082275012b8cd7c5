import numpy as np

from causal_iqa import data
from causal_iqa.pipeline import scored


def _facts(look: int) -> data.Facts:
    return data.Facts(4, 3, "PNG", False, look, 2**64 - 1 - look)


def test_hashes_of_images_that_are_joined_keep_every_bit():
    """NumPy makes int64 of small numbers and uint64 of large ones, and float64 of both together."""
    looks = [_facts(5), _facts(2**64 - 3)]
    apart = [scored.facts_columns([one]) for one in looks]
    for field in ("look_across", "look_down"):
        joined = np.concatenate([columns[field] for columns in apart])
        assert joined.tolist() == [getattr(one, field) for one in looks]
    together = scored.facts_columns(looks)
    assert together["format"].tolist() == ["PNG", "PNG"] and together["width"].tolist() == [4, 4]


def test_columns_of_no_images_do_not_change_those_they_are_joined_to():
    nothing, one = scored.facts_columns([]), scored.facts_columns([_facts(2**63 + 1)])
    for field in scored.FACTS:
        assert np.concatenate([nothing[field], one[field]]).dtype == one[field].dtype
