"""What a view sees and reads."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

import causal_iqa
from causal_iqa import backbones, data, images, metrics, pipeline
from causal_iqa.backbones.zoo import mobilenet
from causal_iqa.pipeline import loading, views
from tests.backbones import synthetic

_BLOCKS = ("block02", "block05", "block12")


@pytest.fixture(scope="module")
def mobile(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "thin.safetensors"
    layout = mobilenet.layout("mobilenet_v2", synthetic.thin("mobilenet_v2", 0.25))
    safetensors.numpy.save_file(synthetic.tensors(layout, seed=3), path)
    return backbones.load("mobilenet_v2", path)


def _with_preprocessing(network, **changes):
    return dataclasses.replace(network, preprocessing=dataclasses.replace(network.preprocessing, **changes))


def test_a_network_that_refuses_small_images_still_reads_them_with_its_inner_stages(mobile):
    named = {"m": mobile}
    with pytest.raises(causal_iqa.InputError, match="at least 96 pixels, got 32"):
        mobile.apply(mobile.params, jnp.zeros((32, 32, 3)))
    assert views.enlarged_for(named, 32, at_task=True) == ("m",)
    assert views.enlarged_for(named, 96, at_task=True) == ()
    assert views.enlarged_for({"m": _with_preprocessing(mobile, fixed_size=True)}, 32, at_task=True) == ()

    image = jax.random.uniform(jax.random.key(0), (32, 32, 3))
    view = pipeline.View(32, (), {"m": 96}, enlarged_for=("m",))
    module = mobile.apply.module  # It has no check of the side.

    @jax.jit
    def looks(params, image):
        own = module.apply({"params": params}, image[None])[1]
        large = mobile.apply(params, images.resize(image, 96, 96))[1]
        return view.features("m", mobile, params, image), {name: x[0] for name, x in own.items()}, large

    found, own, large = looks(mobile.params, image)
    np.testing.assert_allclose(found.early, own["block02"].mean((0, 1)), rtol=1e-5)
    expected = [f((0, 1)) for stages in (large, own) for name in _BLOCKS for f in (stages[name].mean, stages[name].std)]
    assert len(found.inner) == len(expected) == 12
    for value, other in zip(found.inner, expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-5)


def test_networks_say_from_which_side_their_inner_stages_can_be_read(tmp_path):
    path = tmp_path / "squeezenet.safetensors"
    layout = backbones.TABLE["squeezenet1_1"].layout({})
    safetensors.numpy.save_file(synthetic.tensors(layout, seed=3), path)
    unpadded = backbones.load("squeezenet1_1", path)
    assert unpadded.smallest_inner == unpadded.preprocessing.smallest == 17
    # `score` enlarges to the backbone's own side.
    assert views.enlarged_for({"s": unpadded}, 17, at_task=False) == ("s",)
    assert views.enlarged_for({"s": unpadded}, 16, at_task=False) == ()
    with pytest.raises(causal_iqa.InputError, match="need a side of 17 pixels"):
        unpadded.stages_of(unpadded.params, jnp.zeros((16, 16, 3)))


def test_a_users_function_is_not_asked_below_its_smallest_side_and_its_errors_are_not_hidden():
    own = backbones.load_packaged("scene_features")

    def apply(params, image):
        if len(image) == 20:
            raise ZeroDivisionError("of the user's")
        return own.apply(params, image)

    preprocessing = dataclasses.replace(own.preprocessing, smallest=20)
    network = backbones.make_network("mine", apply, own.params, preprocessing)
    assert network.smallest_inner == 20
    assert views.enlarged_for({"n": network}, 19, at_task=False) == ()
    assert views.enlarged_for({"n": network}, 24, at_task=False) == ("n",)
    with pytest.raises(ZeroDivisionError, match="of the user's"):
        views.enlarged_for({"n": network}, 20, at_task=False)


def test_a_view_is_exactly_what_its_networks_see(tmp_path, monkeypatch):
    filters = {"scene_cnn_a": (24, "bilinear"), "scene_cnn_b": (24, "bicubic"), "scene_cnn_c": (48, "bicubic")}

    def load(choice):
        network = backbones.load_packaged(choice.architecture)
        side, interpolation = filters.get(choice.name, (48, "bilinear"))
        return _with_preprocessing(network, size=side, interpolation=interpolation)

    monkeypatch.setattr(loading, "load_network", load)
    config = pipeline.StudyConfig(
        num_images=8,
        networks=tuple(pipeline.NetworkChoice.parse(name) for name in filters),
        backbones=(pipeline.NetworkChoice.parse("scene_features"),),
        degradations=("contrast",),
        severities=(3.0,),
        metrics=("entropy", "mse"),
        num_anchors=20,
    )
    study = pipeline.prepare(config)
    assert [(view.name, view.interpolation, view.networks) for view in study.views] == [
        ("24_bicubic", "bicubic", ("scene_cnn_b",)),
        ("24", "bilinear", ("scene_cnn_a",)),
        ("48", None, ("scene_cnn_c",)),  # The images have 48 pixels: no filter is used.
    ]
    source = data.open_source("scenes")
    image = images.from_uint8(source[int(study.indices[0])].image)
    for view in study.views:
        for name in view.networks:
            seen = backbones.to_input(study.networks[name].preprocessing, image)
            np.testing.assert_array_equal(view.see(image), seen)
    assert not np.array_equal(study.views[0].see(image), study.views[1].see(image))

    output = pipeline.Store(tmp_path, study.config, study.fingerprint, study.details)
    table = pipeline.run(study, output, pipeline.Execution(num_devices=1))
    suffixes = {"scene_cnn_a": "@24px", "scene_cnn_b": "@24px_bicubic", "scene_cnn_c": "@48px"}
    assert {f"stages_free@scene_features{suffix}" for suffix in suffixes.values()} <= set(table.columns)
    assert {f"scene_features{suffix}/features" for suffix in suffixes.values()} <= set(table.vectors)
    for name, suffix in suffixes.items():
        seen = backbones.to_input(study.networks[name].preprocessing, image)
        expected = metrics.TABLE["entropy"].fn(seen)
        assert table.columns[f"entropy{suffix}"][0, 0] == pytest.approx(float(expected), abs=1e-5)
    passports = {scorer.column.name: scorer.column.record() for scorer in study.scorers}
    assert passports["mse@24px_bicubic"]["reads"]["image"] == {"side": 24, "interpolation": "bicubic"}
    assert passports["mse@24px_bicubic"]["networks"] == ["scene_cnn_b"]
    # The bicubic network's own scores are those of its own view.
    scores, _ = pipeline.quality_and_performance([s.column for s in study.scorers], table, list(filters))
    np.testing.assert_array_equal(scores["mse"]["scene_cnn_b"], -table.columns["mse@24px_bicubic"][1:])


def test_a_view_without_a_resize_refuses_another_side():
    with pytest.raises(ValueError, match=r"expected 24 x 24 pixels, got \(48, 48\)"):
        pipeline.View(24, (), {}).see(jnp.zeros((48, 48, 3)))


def test_features_of_small_images_are_read_at_the_feature_side(mobile):
    own = mobile.preprocessing
    wider = _with_preprocessing(mobile, feature_side=128)
    assert [views.backbone_side(wider.preprocessing, side, True) for side in (32, 100, 128, 160)] == [
        128,
        128,
        128,
        160,
    ]
    assert views.backbone_side(wider.preprocessing, 32, False) == own.size
    assert views.backbone_side(own, 32, True) == own.smallest == 96
    # An image that is large enough for the network itself is enlarged all the same, and read by inner stages as it is.
    assert views.enlarged_for({"wide": wider, "own": mobile}, 100, True) == ("wide",)
    # It is the network's own where it says nothing, and then not in its record.
    assert wider.passport()["preprocessing"]["feature_side"] == 128
    assert "feature_side" not in mobile.passport()["preprocessing"]
