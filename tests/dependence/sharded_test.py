"""HSIC and sketches over eight forced devices, and over two processes, against one device."""

import functools
import json
import os
import pathlib
import re
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from causal_iqa import dependence
from causal_iqa.dependence import feature_maps, sharded, sketches, streaming

KERNEL = functools.partial(dependence.rbf, bandwidth=1.0)


def _samples(n=101):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 3)).astype(np.float32)
    y = (np.sin(x[:, :2]) + 0.3 * rng.standard_normal((n, 2))).astype(np.float32)
    return x, y


@jax.jit
def _empty():
    keys = jax.random.split(jax.random.key(0))
    maps = [feature_maps.fourier_map(k, d, num_frequencies=8, bandwidth=1.0) for k, d in zip(keys, (3, 2), strict=True)]
    return sketches.init(*maps, *(jnp.asarray(v) for v in _samples(1)), within=True)


finalize = jax.jit(sketches.finalize)


@pytest.fixture(scope="module")
def mesh():
    assert jax.device_count() == 8
    return jax.make_mesh((2, 4), ("other", "rows"))


def test_exact_hsic_over_devices(mesh):
    x, y = (jnp.asarray(v) for v in _samples())
    mask = np.arange(101) % 5 != 0
    sizes = {"block": 16, "num_anchors": 10}
    one = jax.jit(lambda x, y: streaming.hsic_streamed(x, y, KERNEL, KERNEL, mask, **sizes))(x, y)
    # One axis of two here, of all devices in the gradient below.
    run = jax.jit(lambda x, y: sharded.hsic_sharded(x, y, KERNEL, KERNEL, mask, mesh=mesh, axis="rows", **sizes))
    many = run(x, y)
    np.testing.assert_allclose(many, one, rtol=1e-5)
    assert many.cka.sharding.device_set == set(jax.devices())


def test_sketch_over_devices():
    x, y = (jnp.asarray(v) for v in _samples())
    mask = np.arange(101) % 5 != 0
    mesh = jax.make_mesh((8,), ("rows",))
    run = jax.jit(lambda s, x, y: sharded.sketch_sharded(s, x, y, mask, mesh=mesh, axis="rows", chunk=5))
    # Placed as the result is, so that the second call needs no other program.
    many = run(jax.device_put(_empty(), NamedSharding(mesh, PartitionSpec())), x, y)
    one = jax.jit(functools.partial(sketches.update_all, chunk=101))(_empty(), x, y, mask)
    np.testing.assert_allclose(finalize(many), finalize(one), rtol=1e-4, atol=1e-6)
    # A second part joins the first.
    twice = run(many, x, y)
    assert float(sketches.values(twice).count) == 2 * float(sketches.values(one).count)
    np.testing.assert_allclose(finalize(twice).cka, finalize(one).cka, rtol=1e-4)


def test_gradient_over_devices():
    x, y = (jnp.asarray(v) for v in _samples(40))
    mesh = jax.make_mesh((8,), ("rows",))
    sizes = {"block": 8, "num_anchors": 10}

    def one(x):
        return streaming.hsic_streamed(x, y, KERNEL, KERNEL, **sizes).hsic_biased

    def many(x):
        return sharded.hsic_sharded(x, y, KERNEL, KERNEL, mesh=mesh, axis="rows", **sizes).hsic_biased

    (value, gradient), (expected, slope) = (jax.jit(jax.value_and_grad(f))(x) for f in (many, one))
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(gradient, slope, rtol=1e-4, atol=1e-7)


def _free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def _two_processes():
    """What two processes side by side print, or None when another program took the port."""
    port = _free_port()
    root = pathlib.Path(__file__).parents[2]
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": re.sub(r"(device_count=)\d+", r"\g<1>2", os.environ["XLA_FLAGS"]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")])),
    }
    command = [sys.executable, "-m", "tests.dependence.two_processes", str(port)]
    workers = [
        subprocess.Popen(
            [*command, str(rank)], cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for rank in (0, 1)
    ]
    try:
        outputs = [worker.communicate(timeout=300) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    if any("Address already in use" in error for _, error in outputs):
        return None
    for worker, (_, error) in zip(workers, outputs, strict=True):
        assert worker.returncode == 0, error[-3000:]
    return [json.loads(output.splitlines()[-1]) for output, _ in outputs]


def test_two_processes_give_what_one_gives():
    results = next(filter(None, (_two_processes() for _ in range(3))))
    assert results[0] == results[1] and results[0]["devices"] == 4
    x, y = (jnp.asarray(v) for v in _samples(96))
    mask = jnp.arange(96) % 7 != 0
    sizes = {"block": 16, "num_anchors": 10}
    exact = jax.jit(lambda x, y: streaming.hsic_streamed(x, y, KERNEL, KERNEL, mask, **sizes))(x, y)
    np.testing.assert_allclose(results[0]["exact"], exact, rtol=1e-5)
    sketch = jax.jit(lambda x, y: sketches.finalize(sketches.update(_empty(), x, y, mask)))(x, y)
    np.testing.assert_allclose(results[0]["sketch"], sketch, rtol=1e-4, atol=1e-6)


def test_bad_input_is_named():
    x, y = (jnp.asarray(v) for v in _samples(8))
    mesh = jax.make_mesh((8,), ("rows",))
    with pytest.raises(ValueError, match="axis: expected one of rows, got 'columns'"):
        sharded.sketch_sharded(_empty(), x, y, mesh=mesh, axis="columns", chunk=2)
    with pytest.raises(ValueError, match="x, y, mask: expected the same samples, got 8, 7 and no mask"):
        sharded.sketch_sharded(_empty(), x, y[:7], mesh=mesh, axis="rows", chunk=2)
