"""Images unlike the others, and copies."""

import numpy as np
import pyarrow as pa

from causal_iqa.analysis.datasets import oddities
from tests.analysis.datasets.scored import scored_sets


def test_odd_images_and_copies():
    scored = scored_sets({"a": np.arange(8.0), "b": np.arange(2.0)})
    table = scored.table.to_pydict()
    table["width"] = [32, 1, 200, 32, 16, 32, 32, 32, 32, 32]
    table["height"] = [32, 1, 20, 32, 16, 32, 32, 32, 32, 32]
    table["one_colour"] = [False] * 3 + [True] + [False] * 6
    table["look_across"][6] = table["look_across"][5] ^ 3
    table["look_down"][6] = table["look_down"][5]
    table["look_across"][8], table["look_down"][8] = table["look_across"][0], table["look_down"][0]
    table = pa.table(table, schema=scored.table.schema)
    kinds = oddities.kinds_of(table, 32, 1.0)
    found = {odd.kind: odd.rows for odd in oddities.listed(kinds)}
    assert found == {
        oddities.ONE_PIXEL: (1,), oddities.ONE_COLOUR: (3,), oddities.EXTREME: (2,), oddities.ENLARGED: (1, 2, 4),
    }  # fmt: skip
    words = oddities.reasons(kinds).to_pylist()
    assert words[0] is None and words[2] == f"{oddities.EXTREME}; {oddities.ENLARGED}"
    copies = oddities.find_copies(table, np.repeat([0, 1], [8, 2]), np.zeros(10, bool))
    assert copies.count == 2 and copies.across == 1 and sorted(copies.groups) == [(0, 8), (5, 6)]
    assert np.flatnonzero(copies.is_copy).tolist() == [6, 8]
