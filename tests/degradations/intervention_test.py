"""A condition applied to an image."""

import io
import itertools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from causal_iqa import InputError, degradations
from causal_iqa.degradations import TABLE, Condition, Step, compose, do
from tests.degradations.scenes import picture

IMAGE = picture(33, 40)


def test_compose_follows_the_camera():
    names = ["jpeg_compression", "gaussian_noise", "pixelate", "defocus_blur", "brightness", "fog", "contrast"]
    expected = ["fog", "defocus_blur", "brightness", "gaussian_noise", "pixelate", "contrast", "jpeg_compression"]
    steps = [Step(name, 1) for name in names]
    assert [step.name for step in compose(*steps).steps] == expected
    assert [step.name for step in compose(*steps, ordered=False).steps] == names
    # Steps of one stage keep the given order: contrast and pixelate are both processing.
    assert [s.name for s in compose("contrast/1", "fog/1+pixelate/2").steps] == ["fog", "contrast", "pixelate"]
    assert {degradations.stage(name) for name in TABLE} <= set(degradations.STAGES)


def test_compose_joins_what_the_parts_say():
    whole = compose("fog/1|stored=85", "contrast/2|quantise=round", Condition("pixelate", 1, family="cifar32"))
    assert (whole.stored, whole.quantise, whole.family) == (85, "round", "cifar32")
    assert compose("fog/1|stored=85", "contrast/1", stored=40).stored == 40
    with pytest.raises(InputError, match="stored"):
        compose("fog/1|stored=85", "contrast/2|stored=80")
    assert compose() == Condition()


def test_sets_partition_the_table():
    sets = {name: degradations.named_set(name) for name in degradations.SETS}
    assert sets["all"] == tuple(TABLE)
    assert sorted(sets["imagenet_c"] + sets["camera"]) == sorted(TABLE)
    assert set(sets["imagenet_c"]) - set(sets["imagenet_c15"]) <= {
        "gaussian_blur",
        "speckle_noise",
        "spatter",
        "saturate",
    }
    assert all(TABLE[name].published for name in sets["imagenet_c"])
    with pytest.raises(InputError, match="did you mean imagenet_c"):
        degradations.named_set("imagenetc")


def test_do_applies_the_steps_in_turn_with_their_keys(key):
    # Sensor noise twice: the second draw is another one.
    condition = Condition.parse("gaussian_noise/2+contrast/1.5+gaussian_noise/2|family=imagenet224")
    seen = np.asarray(jax.jit(do(condition))(key, IMAGE))
    own = jax.random.fold_in(key, zlib.crc32(b"gaussian_noise"))
    x = TABLE["gaussian_noise"].fn(own, IMAGE, 2.0, family="imagenet224")
    x = TABLE["contrast"].fn(key, x, 1.5, family="imagenet224")
    x = TABLE["gaussian_noise"].fn(jax.random.fold_in(own, 1), x, 2.0, family="imagenet224")
    np.testing.assert_allclose(seen, x, atol=1e-6)
    assert np.abs(seen - np.asarray(do("gaussian_noise/2|family=imagenet224")(key, IMAGE))).max() > 0.05


def test_severity_zero_and_clean_are_the_image_bit_for_bit(key):
    for text in ("clean", "gaussian_noise/0+contrast/0"):
        np.testing.assert_array_equal(jax.jit(do(text))(key, IMAGE), IMAGE)


def test_one_program_serves_all_severities(key):
    apply = jax.jit(degradations.do_graded(Condition.parse("contrast/0+gaussian_noise/0")))
    for a, b in itertools.product((0.0, 2.0), (1.0, 4.5)):
        expected = do(f"contrast/{a}+gaussian_noise/{b}")(key, IMAGE)
        np.testing.assert_allclose(apply(key, IMAGE, jnp.asarray([a, b])), expected, atol=1e-6)
    assert apply._cache_size() == 1


def test_quantisation_rounds_or_truncates_to_eight_bits(key):
    image = 0.9 * IMAGE + 0.05
    whole = image * 255
    got = {mode: np.asarray(do(f"clean/0|quantise={mode}")(key, image)) * 255 for mode in degradations.QUANTISE}
    np.testing.assert_allclose(got["none"], whole, atol=1e-4)
    np.testing.assert_allclose(got["round"], np.rint(whole), atol=1e-4)
    # The original: np.uint8(x * 255).
    np.testing.assert_allclose(got["truncate"], whole.astype(np.uint8), atol=1e-4)
    assert got["truncate"].mean() == pytest.approx(whole.mean() - 0.5, abs=0.05)
    # What has 8 bits already is left alone.
    levels = jnp.arange(256, dtype=jnp.float32).reshape(16, 16, 1).repeat(3, axis=2) / 255.0
    np.testing.assert_array_equal(do("clean/0|quantise=truncate")(key, levels), levels)


@pytest.mark.parametrize("quality", [85, 40])
def test_stored_is_what_a_jpeg_file_gives_back(key, quality):
    # By libjpeg itself, as the released ImageNet-C was saved; its integer transform is met to the bit.
    seen = np.asarray(jax.jit(do(f"contrast/1|quantise=truncate;stored={quality}"))(key, IMAGE))
    kept = np.floor(np.asarray(do("contrast/1")(key, IMAGE)) * 255).astype(np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(kept).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    decoded = np.asarray(PIL.Image.open(file), np.float32)
    np.testing.assert_allclose(np.rint(seen * 255), decoded, atol=0)


def test_frost_takes_a_folder_of_textures(key, tmp_path):
    texture = np.random.default_rng(0).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    PIL.Image.fromarray(texture).save(tmp_path / "frost1.png")
    condition = Condition("frost", 3.0, options={"textures": str(tmp_path)}, family="imagenet224")
    assert Condition.parse(str(condition)) == condition
    textures = degradations.load_frost_textures([tmp_path / "frost1.png"])
    own = degradations.step_key(key, "frost")
    expected = TABLE["frost"].fn(own, IMAGE, 3.0, family="imagenet224", textures=textures)
    np.testing.assert_allclose(do(condition)(key, IMAGE), expected, atol=1e-6)
    with pytest.raises(InputError, match=r"frost\[textures\]: no .png"):
        do(Condition("frost", 3.0, options={"textures": str(tmp_path / "none")}))
