"""NIQE, BRISQUE, PIQE and what they share, against float64 numpy and the published values."""

import csv
import fractions
import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import scipy.io
import scipy.ndimage
import scipy.stats

from causal_iqa import _checks, images, metrics
from causal_iqa.metrics import _brisque, _filters, _niqe, natural_scene
from causal_iqa.metrics.learned import packaged as learned_packaged
from tests.golden import photographs
from tests.metrics import nss_float64


@pytest.fixture(scope="module")
def pixels():
    """Odd sides, four blocks of 96."""
    return photographs.noisy(photographs.photograph(3, 197, 211), 4, 0.03)


@jax.jit
def compute(image):
    """Everything in one program."""
    grey = _filters.grey_levels(image)
    return {
        "grey": grey,
        "half": natural_scene.halve(grey),
        "edge": natural_scene.normalise(grey, "edge"),
        "zero": natural_scene.normalise(grey, "zero"),
        "deviation": natural_scene.local_deviation(grey, "edge"),
        "blocks": _niqe.features(image)[0],
        "brisque": _brisque.features(image)[0],
        "niqe": metrics.TABLE["niqe_imagenet_sample"].fn(image),
        "piqe": metrics.TABLE["piqe"].fn(image),
    }


@pytest.fixture(scope="module")
def computed(pixels):
    return compute(images.from_uint8(pixels))


def model(seed: int = 0, count: int = 40) -> tuple[bytes, _brisque.SupportVectors]:
    """A libsvm file of random vectors, with the cancelling weights of the original."""
    rng = np.random.default_rng(seed)
    weights = np.round(np.where(rng.random(count) < 0.8, 1024, rng.uniform(0, 1024, count)), 3)
    weights *= np.where(np.arange(count) % 2, 1, -1)
    rows = [
        f"{w:g} " + " ".join(f"{i}:{v:g}" for i, v in enumerate(rng.uniform(-1, 1, 36), 1) if i != 7) for w in weights
    ]
    head = f"svm_type epsilon_svr\nkernel_type rbf\ngamma 0.05\nnr_class 2\ntotal_sv {count}\nrho -153.591\nSV\n"
    content = (head + "\n".join(rows) + "\n").encode()
    return content, _brisque.read_libsvm(content)


def test_filters_follow_float64(pixels, computed):
    grey = nss_float64.grey(pixels)
    np.testing.assert_array_equal(computed["grey"], grey)
    np.testing.assert_allclose(computed["half"], nss_float64.halve(grey), atol=1e-4)
    np.testing.assert_allclose(computed["edge"], nss_float64.normalise(grey, "nearest"), atol=2e-5)
    np.testing.assert_allclose(computed["zero"], nss_float64.normalise(grey, "constant"), atol=2e-5)
    np.testing.assert_allclose(computed["deviation"], nss_float64.local(grey, "nearest")[1], atol=2e-5)


def test_features_follow_float64(pixels, computed):
    """Shapes lie on a grid of 0.001; one step either way is rounding."""
    expected = nss_float64.niqe_blocks(pixels)
    assert computed["blocks"].shape == expected.shape
    np.testing.assert_allclose(computed["blocks"], expected, atol=1.1e-3)
    assert np.mean(np.abs(computed["blocks"] - expected) > 1e-5) < 0.02
    np.testing.assert_allclose(computed["brisque"], nss_float64.brisque_features(pixels), atol=1.1e-3)


def test_scores_follow_float64(pixels, computed):
    packaged = learned_packaged.packaged_model()
    np.testing.assert_allclose(
        computed["niqe"], nss_float64.niqe(pixels, packaged.mean, packaged.covariance), rtol=1e-4
    )
    np.testing.assert_allclose(computed["piqe"], nss_float64.piqe(pixels), rtol=1e-5)


def test_unguarded_variance_would_cancel():
    """E[x^2] - E[x]^2 in float32 loses the deviation of a bright, almost flat image; the form used does not."""
    grey = np.full((24, 24), 250.0)
    grey[::2, ::3] = 251.0
    expected = nss_float64.local(grey, "nearest")[1]
    ours = natural_scene.local_deviation(jnp.asarray(grey, jnp.float32), "edge")
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    x = grey.astype(np.float32)
    window = [np.float32(w) for w in natural_scene.WINDOW]

    def mean(z):
        for axis in (0, 1):
            padded = np.pad(z, [(3, 3) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
            parts = np.stack([np.take(padded, range(k, k + 24), axis) for k in range(7)])
            z = np.tensordot(np.array(window), parts, 1).astype(np.float32)
        return z

    naive = np.sqrt(np.abs(mean(x * x) - mean(x) ** 2))
    assert np.abs(naive - expected).max() > 1e-3


def test_regression_has_the_digits_of_float64():
    """Sums of about 1e4 that cancel; plain float32 is several times worse."""
    _, vectors = model(1, 774)
    rng = np.random.default_rng(2)
    ours = jax.jit(lambda x: _brisque.regress(vectors, x))
    errors, plain = [], []
    for _ in range(20):
        x = rng.uniform(-1, 1, 36).astype(np.float32)
        args = (vectors.vectors, vectors.weights, vectors.gamma, vectors.rho)
        expected = nss_float64.regress(*args, x.astype(np.float64))
        allowed = 1e-4 + 3e-7 * abs(expected)
        errors.append(abs(float(ours(jnp.asarray(x))) - expected) / allowed)
        single = [np.asarray(a, np.float32) for a in args]
        distance = np.square(single[0] - x).sum(axis=1, dtype=np.float32)
        kernel = np.exp(-single[2] * distance)
        plain.append(abs(float(np.cumsum(single[1] * kernel, dtype=np.float32)[-1] - single[3]) - expected) / allowed)
    assert np.max(errors) < 1.0 and np.mean(plain) > 3.0 * np.mean(errors)


def test_brisque_of_a_file(tmp_path, computed):
    content, vectors = model()
    path = tmp_path / "svr.libsvm"
    path.write_bytes(content)
    spec = metrics.resolve(f"brisque@{path}")
    assert "scores are not reproducible" in spec.passport()["convention"]
    assert spec.name == "brisque@svr" and json.loads(json.dumps(spec.passport()))["files"].keys() == {"svr.libsvm"}
    values = np.asarray(computed["brisque"], np.float64)
    low, high = _brisque.RANGES.T
    scaled = 2 * (values - low) / (high - low) - 1
    expected = nss_float64.regress(vectors.vectors, vectors.weights, vectors.gamma, vectors.rho, scaled)
    read = spec.fn.keywords["model"]
    ours = _brisque.regress(read, _brisque.scale_features(computed["brisque"], read.ranges))
    # Six digits of features whose smallest range is 0.37 in a sum of weights of 1024.
    np.testing.assert_allclose(ours, expected, atol=0.02)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("niqee", "did you mean"),
        ("niqe", "reads files: niqe@"),
        ("nique@x.npz", "did you mean niqe"),
        ("lpips_alex@a.pth", "expected lpips_alex@ALEXNET,LINEAR, got 1"),
        ("dists@a.pth,", "got 1"),
        ("clip_iqa@clip_vit_b32,x", "got no weights"),
    ],
)
def test_unknown_names_are_answered(text, message):
    with pytest.raises(_checks.InputError, match=message):
        metrics.resolve(text)


def test_a_row_of_the_table_is_itself():
    assert metrics.resolve("ssim") is metrics.TABLE["ssim"]


def test_the_registrys_package(tmp_path, monkeypatch):
    content, vectors = model(5)
    folder = tmp_path / "brisque" / "models"
    folder.mkdir(parents=True)
    (tmp_path / "brisque" / "__init__.py").write_text("raise ImportError('found, not imported')")
    with pytest.raises(_checks.InputError, match=r"brisque@PATH|package"):
        metrics.resolve("brisque")
    monkeypatch.syspath_prepend(tmp_path)
    (folder / "svm.txt").write_bytes(content)
    low, high = _brisque.RANGES.T.tolist()
    (folder / "normalize.pickle").write_bytes(pickle.dumps({"min_": low, "max_": high}))
    spec = metrics.resolve("brisque")
    assert spec.name == "brisque@package" and len(spec.files) == 2
    np.testing.assert_array_equal(spec.fn.keywords["model"].vectors, vectors.vectors)
    np.testing.assert_array_equal(spec.fn.keywords["model"].ranges, _brisque.RANGES)
    (folder / "normalize.pickle").write_bytes(pickle.dumps({"min_": np.zeros(36)}))
    with pytest.raises(_checks.InputError, match="no model known here"):
        metrics.resolve("brisque")


def test_flat_windows():
    """Zeros by default; the original's signs where asked; half-flat images keep a finite score, flat ones have none."""
    grey = jnp.full((20, 24), 74.0).at[10:].set(85.0)
    assert np.all(np.asarray(natural_scene.normalise(grey, "edge"))[:7] == 0.0)
    original = np.asarray(natural_scene.normalise(grey, "edge", original=True))
    assert np.all(np.sign(original[:7]) == -1) and np.all(original[13:] == 0.0) and np.abs(original[:7]).max() < 1e-9
    # The one choice of 729 that gives the published NIQE and BRISQUE of TID2013's I08; no sign was fitted to it.
    assert np.array_equal(np.unique(natural_scene.flat_signs(), return_counts=True)[1], [108, 144, 4])
    assert [natural_scene.flat_signs()[level] for level in (74, 85, 87, 103, 140, 162)] == [-1, 0, -1, 0, -1, -1]
    vectors = model()[1]
    pixels = photographs.noisy(photographs.photograph(3, 112, 203), 4, 0.1)
    pixels[:, :110] = 200
    # The rounding of level 200 is negative, beside a border that is positive.
    assert natural_scene.flat_signs()[200] == -1
    batch = images.from_uint8(np.stack([pixels, np.full_like(pixels, 200)]))

    run = jax.jit(
        jax.vmap(lambda x: (_brisque.brisque(x, vectors), *jax.value_and_grad(metrics.niqe_imagenet_sample)(x)))
    )
    *values, gradients = run(batch)
    for half, flat in values:
        assert np.isfinite(half) and np.isnan(flat)
    assert np.isfinite(gradients).all() and np.abs(gradients[0]).max() > 0


def test_rounding_signs_are_those_of_fused_sums():
    """A sum of three taps whose products need more than 53 bits, rounded once a step and not twice."""
    third = (1 / 3).hex()
    signs = natural_scene.rounding_signs([f"{third} {third} {third}"], (2, 1, 0))
    level, weight = 5.0, fractions.Fraction(1 / 3)
    total = fractions.Fraction(0)
    for _ in range(3):
        total = fractions.Fraction(float(weight * fractions.Fraction(level) + total))
    assert signs[5] == np.sign(level - float(total))
    assert set(natural_scene.rounding_signs(["0x1p-2 0x1p-1 0x1p-2"], (0, 1, 2))) == {0.0}


def test_scores_do_not_depend_on_the_batch():
    noisy = [photographs.noisy(photographs.photograph(k, 96, 98), k, 0.05) for k in range(8)]
    batch = images.from_uint8(np.stack(noisy))
    score = jax.jit(jax.vmap(metrics.niqe_imagenet_sample))
    alone = np.concatenate([score(batch[k : k + 1]) for k in range(8)])
    np.testing.assert_allclose(alone, score(batch), rtol=1e-5)


def test_small_images_are_refused():
    for name, fn, side in (
        ("niqe_imagenet_sample", metrics.niqe_imagenet_sample, 96),
        ("brisque", _brisque.features, 16),
    ):
        with pytest.raises(ValueError, match=f"{name} is undefined below its smallest side of {side} pixels, got"):
            fn(jnp.zeros((side, side - 1, 3)))


def test_damage_is_worse_on_photographs(shared_data):
    """NIQE and PIQE rise with blur, NIQE with strong noise."""
    files = sorted(shared_data("data", "imagenet_sample", "validation").glob("*/*.JPEG"))[::100]
    means = {"blur": [], "noise": []}
    for level in (0, 1, 2):
        found = {"blur": [], "noise": []}
        for k, file in enumerate(files):
            with PIL.Image.open(file) as opened:
                photo = np.asarray(PIL.ImageOps.fit(opened.convert("RGB"), (211, 197)))
            blurred = scipy.ndimage.gaussian_filter(photo, (level, level, 0))
            for kind, damaged in (("blur", blurred), ("noise", photographs.noisy(photo, k, 0.1 * level))):
                scores = compute(images.from_uint8(damaged))
                found[kind].append((float(scores["niqe"]), float(scores["piqe"])))
        for kind, rows in found.items():
            means[kind].append(np.mean(rows, axis=0))
    assert np.all(np.diff(means["blur"], axis=0) > 0), means
    assert np.all(np.diff(means["noise"], axis=0)[:, 0] > 0), means


def test_official_values(shared_data):
    """Three distorted images of TID2013: the original code's values (BRISQUE of I04 is near zero, hence 1e-4).

    I03, a JPEG, has 3000 flat windows of 90 grey levels: NIQE is 5e-4 off there.
    """
    with open(shared_data("data", "iqa_calibration", "official_values.csv"), newline="") as file:
        official = {row["Method"]: row for row in csv.DictReader(file)}
    texts = ("niqe@{}/niqe_utlive_pris_params.npz", "brisque@{}/brisque_utlive_allmodel.libsvm", "piqe")
    specs = [metrics.resolve(text.format(shared_data("data", "iqa_params"))) for text in texts]
    run = jax.jit(lambda x: [spec.fn(x) for spec in specs])
    for scene in ("I03.bmp", "I04.bmp", "I08.bmp"):
        with PIL.Image.open(shared_data("data", "iqa_calibration", "dist", scene)) as file:
            values = run(images.from_uint8(np.asarray(file.convert("RGB"))))
        for value, name, rtol in zip(values, ("niqe", "brisque", "piqe"), (1e-3, 4e-5, 3e-4), strict=True):
            np.testing.assert_allclose(value, float(official[name][scene]), rtol=rtol, atol=1e-4, err_msg=name)
