"""Precisions of the layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from causal_iqa import backbones


def _size(row: backbones.ArchitectureSpec) -> int:
    return sum(int(np.prod(shape)) for shape in row.layout({}).values())


def _smallest_of_kinds() -> list[str]:
    smallest: dict[str, tuple[int, str]] = {}
    for name, row in backbones.TABLE.items():
        smallest[row.kind] = min(smallest.get(row.kind, (_MOST_TRACED, "")), (_size(row), name))
    return sorted(name for _, name in smallest.values() if name)


# Larger ones take seconds to build; none has a layer of its own but the wide residual network's.
_MOST_TRACED = 30_000_000


@pytest.mark.parametrize("name", _smallest_of_kinds())
def test_every_product_of_a_layer_has_the_precision_asked_for(name, tmp_path):
    """Of traced programs: nothing is compiled."""
    path = tmp_path / "net.safetensors"
    layout = backbones.TABLE[name].layout({})
    safetensors.numpy.save_file({key: np.full(shape, 0.5, np.float32) for key, shape in layout.items()}, path)
    network = backbones.load(name, path)
    side = network.preprocessing.size
    image = jax.ShapeDtypeStruct((side, side, 3), jnp.float32)
    for precision, dtype in (("bfloat16", "bf16"), ("default", "f32"), ("highest", "f32")):
        own = backbones.with_precision(network, precision)
        assert own.passport()["precision"] == precision
        program = jax.make_jaxpr(own.apply)(own.params, image)
        assert {value.dtype for value in program.out_avals} == {jnp.dtype(jnp.float32)}
        lines = str(program).splitlines()
        products = [line for line in lines if "= dot_general[" in line or "= conv_general_dilated[" in line]
        assert products
        assert all(f":{dtype}[" in line.split("=")[0] for line in products)
        assert any("HIGHEST" in line for line in lines) == (precision == "highest")
