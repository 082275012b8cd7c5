"""Conditions: their written form, what composing does, and that applying them is what the degradations do in turn."""

import dataclasses
import io
import itertools
import json
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from causal_iqa import InputError, degradations
from causal_iqa.degradations import TABLE, Condition, Step, compose, do
from causal_iqa.degradations import spec as spec_module
from tests.degradations.scenes import picture

IMAGE = picture(33, 40)
WRITTEN = (
    "fog/3",
    "clean/0",
    "defocus_blur/2.5+gaussian_noise/1",
    "gaussian_noise/0.1+gaussian_noise/5",
    "fog/3|quantise=truncate",
    "jpeg_compression/4.7|family=cifar32;quantise=round;stored=85",
    "clean/0|stored=10",
)


@pytest.fixture
def options(monkeypatch):
    """Gives fog options of every kind for the time of a test."""
    kinds = {"mode": ("soft", "hard"), "depth": "metres", "name": "any text"}
    rows = dict(TABLE) | {"fog": dataclasses.replace(TABLE["fog"], options=kinds)}
    monkeypatch.setattr("causal_iqa.degradations.condition.TABLE", rows)


@pytest.mark.parametrize("text", WRITTEN)
def test_written_form_and_json_are_inverses(text):
    condition = Condition.parse(text)
    assert str(condition) == condition.name == text
    assert Condition.parse(str(condition)) == condition
    assert Condition.from_json(json.loads(json.dumps(condition.to_json()))) == condition
    assert hash(Condition.parse(text)) == hash(condition)


def test_every_severity_survives_being_written():
    rng = np.random.default_rng(0)
    for severity in (*rng.uniform(0, 5, 200), 1e-9, 1 / 3, np.float32(2.1)):
        condition = Condition("contrast", severity)
        assert Condition.parse(str(condition)).severities == (float(severity),)


@pytest.mark.parametrize(
    "value",
    ["hard", "", " x", "3", "true", "a;b", "a]b[", 'say "x"', "a|b", "a,b+c/d=e", 3, 2.5, -1e-7, 4.0, True, "ß"],
)
def test_options_survive_being_written(options, value):
    step = Step("fog", 2, {"name": value, "mode": "hard"}.items())
    condition = Condition([step, Step("contrast", 1)], stored=90)
    again = Condition.parse(str(condition))
    assert again == condition and type(dict(again.steps[0].options)["name"]) in (type(value), int)
    assert step.label.startswith("fog[mode=hard;name=") and str(step).endswith("]/2")
    assert degradations.parse_label(step.label) == dataclasses.replace(step, severity=1)


def test_the_order_of_options_does_not_matter(options):
    assert Condition("fog", 1, options={"mode": "hard", "depth": 3}) == Condition.parse("fog[depth=3;mode=hard]/1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fogg/3", ["unknown degradation 'fogg'", "did you mean fog"]),
        ("fog", ["NAME/SEVERITY", "'fog'"]),
        ("fog/6", ["severity", "0 (clean) to 5", "6"]),
        ("fog/-1", ["severity"]),
        ("fog/nan", ["severity"]),
        ("fog/3/4", ["NAME/SEVERITY"]),
        ("fog/3+", ["'fog/3+'", "NAME/SEVERITY"]),
        ("", ["NAME/SEVERITY"]),
        ("clean/1", ["clean"]),
        ("contrast[a=1]/3", ["contrast", "no options", "'a'"]),
        ("fog[mood=soft]/3", ["fog", "mood", "did you mean mode"]),
        ("fog[mode=loud]/3", ["fog[mode]", "soft, hard", "loud"]),
        ("fog[mode]/3", ["KEYWORD=VALUE", "'mode'"]),
        ("fog[mode=soft;mode=hard]/3", ["mode given twice"]),
        ("fog/3|stored=0", ["stored", "1 to 100"]),
        ("fog/3|stored=8.5", ["stored", "8.5"]),
        ("fog/3|stored=true", ["stored", "True"]),
        ("fog/3|quantise=floor", ["quantise", "none, round, truncate", "floor"]),
        ("fog/3|family=imagenet", ["family", "imagenet224"]),
        ("fog/3|store=85", ["store", "did you mean stored"]),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(options, text, words):
    with pytest.raises(InputError) as error:
        Condition.parse(text)
    assert all(word in str(error.value) for word in words), error.value


def test_arguments_are_checked():
    with pytest.raises(InputError, match="severity"):
        Condition("fog")
    with pytest.raises(InputError, match="together with the name"):
        Condition([Step("fog", 1)], 3.0)
    with pytest.raises(InputError, match="did you mean steps"):
        Condition.from_json({"stepps": []})
    with pytest.raises(dataclasses.FrozenInstanceError):
        Condition("fog", 1).family = "cifar32"


def test_a_condition_says_what_it_is():
    fog, both = Condition("fog", 3), Condition.parse("contrast/1+fog/2.5")
    assert (fog.degradation, fog.severity, fog.group) == ("fog", 3.0, TABLE["fog"].group)
    assert (both.degradation, both.severity, both.group) == ("contrast+fog", 2.5, "composed")
    kept = Condition.parse("contrast/1+fog/2.5|stored=85")
    assert kept.degradation == "contrast+fog|stored=85"
    clean = Condition("clean", 0.0)
    assert clean == Condition() == Condition.parse("clean") and clean.name == "clean/0" and clean.severity == 0.0
    assert both.structure == Condition.parse("contrast/4+fog/1").structure != Condition.parse("fog/1+contrast/4")


def test_compose_follows_the_camera():
    names = ["jpeg_compression", "gaussian_noise", "pixelate", "defocus_blur", "brightness", "fog", "contrast"]
    expected = ["fog", "defocus_blur", "brightness", "gaussian_noise", "pixelate", "contrast", "jpeg_compression"]
    steps = [Step(name, 1) for name in names]
    assert [step.name for step in compose(*steps).steps] == expected
    assert [step.name for step in compose(*steps, ordered=False).steps] == names
    # Steps of one stage keep the given order: contrast and pixelate are both processing.
    assert [s.name for s in compose("contrast/1", "fog/1+pixelate/2").steps] == ["fog", "contrast", "pixelate"]
    assert {degradations.stage(name) for name in TABLE} <= set(degradations.STAGES)


def test_every_group_has_a_stage():
    row = TABLE["fog"]
    stages = {dataclasses.replace(row, group=group, stage=None).stage for group in spec_module.GROUPS}
    assert stages <= set(degradations.STAGES) and len(stages) > 5
    with pytest.raises(ValueError, match=r"stage of fog: expected one of .*, got 'sky'"):
        dataclasses.replace(row, stage="sky")


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
