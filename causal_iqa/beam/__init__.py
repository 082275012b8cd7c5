"""`score` and `degrade` as Apache Beam pipelines: parts go out to workers anywhere, and the same files come back.

The workers see the folder of the images and that of the results under the same paths as the machine that starts them.
A part has one name and appears whole or not at all, so that a part which an engine hands out twice, after a failure or
because a worker is slow, is written twice with the same bytes.
"""

from causal_iqa.beam.copying import write_copies
from causal_iqa.beam.running import options
from causal_iqa.beam.scoring import score_sets

__all__ = [
    "options",
    "score_sets",
    "write_copies",
]
