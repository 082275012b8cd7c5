"""Tensors of files into parameters: each kind of entry against the operation that it says."""

import numpy as np

from causal_iqa.backbones.weights import formats

_RNG = np.random.default_rng(0)


def _drawn(entries):
    return {name: _RNG.normal(size=shape).astype(np.float16) for name, shape in formats.layout(entries).items()}


def test_layers_compute_what_pytorchs_do():
    entries = [*formats.dense("a", "fc", 3, 5), *formats.norm("n", "ln", 5), formats.unused("steps", 2)]
    tensors = _drawn(entries)
    assert tensors["fc.weight"].shape == (5, 3) and "steps" in tensors
    params = formats.convert(entries, tensors)
    assert set(params) == {"a", "n"} and params["a"]["kernel"].dtype == np.float32
    np.testing.assert_array_equal(params["a"]["kernel"], tensors["fc.weight"].T.astype(np.float32))
    np.testing.assert_array_equal(params["n"]["scale"], tensors["ln.weight"].astype(np.float32))


def test_a_layer_without_bias_and_with_another_separator():
    assert formats.layout(formats.dense("a", "in_proj", 3, 5, bias=False, separator="_")) == {"in_proj_weight": (5, 3)}


def test_joined_layers_stand_side_by_side():
    entries = formats.joined_dense("qkv", ("q", "k", "v"), 4, 2)
    tensors = _drawn(entries)
    kernel = formats.convert(entries, tensors)["qkv"]["kernel"]
    x = _RNG.normal(size=4).astype(np.float32)
    apart = [tensors[f"{name}.weight"].astype(np.float32) @ x for name in "qkv"]
    np.testing.assert_allclose(x @ kernel, np.concatenate(apart), rtol=1e-5)


def test_stacks_hold_the_layers_in_order():
    layers = [formats.joined_dense("qkv", (f"{i}.q", f"{i}.k"), 4, 2) for i in range(3)]
    stacked = formats.stacked("blocks", layers)
    tensors = _drawn(stacked)
    params = formats.convert(stacked, tensors)["blocks"]["qkv"]
    assert params["kernel"].shape == (3, 4, 4) and params["bias"].shape == (3, 4)
    for i, layer in enumerate(layers):
        alone = formats.convert(layer, tensors)["qkv"]
        np.testing.assert_array_equal(params["kernel"][i], alone["kernel"])
        np.testing.assert_array_equal(params["bias"][i], alone["bias"])


def test_reshaped_numbers_stay_in_order():
    entry = formats.reshaped("token", "cls", (1, 1, 4), (4,))
    params = formats.convert([entry], {"cls": np.arange(4.0).reshape(1, 1, 4)})
    assert params["token"].tolist() == [0, 1, 2, 3]
