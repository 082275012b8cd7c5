"""One of two processes that share one computation: python -m tests.dependence.two_processes PORT RANK"""

import json
import sys

import jax
import numpy as np

from causal_iqa.dependence import sharded, sketches
from tests.dependence import sharded_test


def main(port: str, rank: str) -> None:
    """Prints the estimates as one line of JSON."""
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=int(rank), initialization_timeout=120)
    mesh = jax.make_mesh((jax.device_count(),), ("rows",))
    x, y = sharded_test._samples(96)
    mine = slice(48 * int(rank), 48 * (int(rank) + 1))
    parts = (x[mine], y[mine], (np.arange(96) % 7 != 0)[mine])
    x, y, mask = (sharded.global_rows(part, mesh=mesh, axis="rows") for part in parts)
    exact = jax.jit(
        lambda x, y, mask: sharded.hsic_sharded(
            x, y, sharded_test.KERNEL, sharded_test.KERNEL, mask, mesh=mesh, axis="rows", block=16, num_anchors=10
        )
    )(x, y, mask)
    sketch = jax.jit(
        lambda s, x, y, mask: sketches.finalize(sharded.sketch_sharded(s, x, y, mask, mesh=mesh, axis="rows", chunk=10))
    )(sharded_test._empty(), x, y, mask)
    result = {
        "devices": jax.device_count(),
        "exact": [float(value) for value in exact],
        "sketch": [float(value) for value in sketch],
    }
    print(json.dumps(result))
    jax.distributed.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
