"""Training: it learns, it repeats, it goes on after a stop, its files can be read, and losses are their formulas."""

import dataclasses
import shutil

import jax
import numpy as np
import PIL.Image
import pytest

import causal_iqa
from causal_iqa import backbones, data
from causal_iqa.backbones.weights import checkpoints
from causal_iqa.backbones.zoo import scene_cnn
from causal_iqa.training import loop

# One small network whose steps compile in seconds; every run of the same settings shares them.
_LABELS = loop.TrainConfig(
    network="tiny", num_images=48, num_evaluation=16, image_size=16, steps=10, batch_size=16, learning_rate=1e-2
)


@pytest.fixture(scope="module", autouse=True)
def _tiny_network():
    tiny = scene_cnn.Variant((scene_cnn.Stage(8, stride=2), scene_cnn.Stage(8, stride=2)), True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene_cnn, "VARIANTS", {**scene_cnn.VARIANTS, "tiny": tiny})
        yield


@pytest.fixture(scope="module")
def whole(photographs):
    """A run that nothing stops."""
    return loop.train(_LABELS, photographs, photographs, progress=False)


def _sources():
    return data.open_source("scenes", split="train"), data.open_source("scenes", split="test")


def test_training_learns_and_repeats(photographs, whole):
    assert whole.losses.shape == (10,)
    assert whole.losses[-3:].mean() < whole.losses[:3].mean()
    told = []
    again = loop.train(_LABELS, photographs, photographs, progress=lambda *one: told.append(one))
    np.testing.assert_array_equal(again.losses, whole.losses)
    assert told == [("images", 0, 1), *(("steps", done, 10) for done in range(11)), ("evaluation", 0, 1)]
    other = loop.train(dataclasses.replace(_LABELS, seed=1, steps=1), photographs, photographs, progress=False)
    assert other.losses[0] != whole.losses[0]


def test_what_was_trained_can_be_read(photographs, tmp_path):
    config = dataclasses.replace(_LABELS, network="scene_cnn_a", steps=1)
    result = loop.train(config, photographs, photographs, progress=False)
    path = tmp_path / "net.safetensors"
    loop.save(str(path), config, result, {"dataset": "photographs"})
    network = backbones.load("scene_cnn_a", path)
    np.testing.assert_array_equal(network.head()[0], result.params["head"]["kernel"])
    metadata = backbones.read(path).metadata
    assert metadata["steps"] == "1" and metadata["dataset"] == "photographs" and 0 <= float(metadata["accuracy"]) <= 1


@pytest.mark.slow
def test_views_need_no_labels():
    config = loop.TrainConfig(
        network="scene_features", objective="views", num_images=64, num_evaluation=32, steps=3, batch_size=32
    )
    result = loop.train(config, *_sources(), progress=False)
    assert set(result.evaluation) == {"view_retrieval"} and np.isfinite(result.losses).all()


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A folder of two classes of plain colours, so that labels and turns can be learned or not."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for name, colour in (("blue", (40, 60, 200)), ("red", (200, 60, 40))):
        (folder / name).mkdir()
        for i in range(24):
            pixels = np.clip(rng.normal(colour, 25, (32, 32, 3)), 0, 255).astype(np.uint8)
            pixels[:8] //= 3  # The top is dark.
            PIL.Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return data.open_source(f"folder:{folder}")


@pytest.mark.parametrize(
    ("objective", "score"),
    [
        pytest.param("label", "accuracy", marks=pytest.mark.slow),
        pytest.param("vicreg", "view_retrieval", marks=pytest.mark.slow),
        ("simclr", "view_retrieval"),
        ("rotation", "rotation_accuracy"),
    ],
)  # fmt: skip
def test_every_objective_trains_on_a_folder(photographs, objective, score):
    config = loop.TrainConfig(
        network="tiny", objective=objective, num_images=48, num_evaluation=48, image_size=16, steps=12, batch_size=24,
        learning_rate=1e-2,
    )  # fmt: skip
    result = loop.train(config, photographs, photographs, progress=False)
    assert set(result.evaluation) == {score} and 0 <= result.evaluation[score] <= 1
    assert np.isfinite(result.losses).all()
    assert result.losses[-3:].mean() < result.losses[:3].mean()


def test_a_stopped_run_goes_on_to_the_same_parameters(photographs, whole, tmp_path, monkeypatch):
    config = _LABELS

    class Stopped(Exception):
        pass

    make_step, calls = loop._make_step, []

    def stopping(*arguments):
        step = make_step(*arguments)

        def counted(params, state, pixels, labels, order, number):
            calls.append(number)
            if calls.count(7) == 1 and number == 7:
                raise Stopped
            return step(params, state, pixels, labels, order, number)

        return counted

    monkeypatch.setattr(loop, "_make_step", stopping)
    options = {"checkpoint_dir": str(tmp_path / "kept"), "checkpoint_every": 4, "progress": False}
    with pytest.raises(Stopped):
        loop.train(config, photographs, photographs, **options)
    again = loop.train(config, photographs, photographs, **options)
    assert calls == [*range(8), *range(4, 10)]
    np.testing.assert_array_equal(again.losses, whole.losses)
    jax.tree.map(np.testing.assert_array_equal, again.params, whole.params)
    with pytest.raises(causal_iqa.InputError, match=r"holds another run: steps \(10 there, 11 now\)"):
        loop.train(dataclasses.replace(config, steps=11), photographs, photographs, **options)
    relabelled = dataclasses.replace(photographs, labels=photographs.labels[::-1])
    with pytest.raises(causal_iqa.InputError, match="holds another run: training_data"):
        loop.train(config, relabelled, photographs, **options)


def test_a_checkpoint_with_one_bit_flipped_is_refused_or_as_written(tmp_path):
    kept = {"w": np.arange(600, dtype=np.float32), "b": np.float32(0.5)}, {"m": np.zeros(3, np.float32)}, np.ones(4)

    def opened(folder):
        return loop._Checkpoints(str(folder), _LABELS, "digest of the images")

    whole = opened(tmp_path / "whole")
    whole.save(4, *kept)
    whole.close()
    rng, refused = np.random.default_rng(0), 0
    files = [p for p in sorted((tmp_path / "whole").rglob("*")) if p.is_file() and p.stat().st_size]
    # The largest file holds the arrays: damage in the middle of it is never without effect.
    largest = max(files, key=lambda file: file.stat().st_size)
    targets = [(file, None) for file in files[::3]] + [(largest, share) for share in (0.3, 0.5, 0.7)]
    for at, (file, share) in enumerate(targets):
        copy = tmp_path / f"copy{at}"
        shutil.copytree(tmp_path / "whole", copy)
        target = copy / file.relative_to(tmp_path / "whole")
        content = bytearray(target.read_bytes())
        place = rng.integers(len(content)) if share is None else int(share * len(content))
        content[place] ^= 1 << rng.integers(8)
        target.write_bytes(content)
        blank = jax.tree.map(np.zeros_like, kept)
        try:
            damaged = opened(copy)
            step, *found = damaged.latest(*blank)
            damaged.close()
        except causal_iqa.InputError as error:
            assert "damaged" in str(error) or "holds another run" in str(error)
            refused += 1
        else:
            assert step in (0, 4)
            jax.tree.map(np.testing.assert_array_equal, tuple(found), kept if step == 4 else blank)
    assert refused >= 1


def test_bfloat16_passes_keep_float32_parameters(photographs, whole):
    config = dataclasses.replace(_LABELS, precision="bfloat16")
    low = loop.train(config, photographs, photographs, progress=False)
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(low.params))
    np.testing.assert_allclose(low.losses, whole.losses, rtol=0.05)
    assert (low.losses != whole.losses).any()


def test_schedules_rise_and_fall_as_named():
    def rates(schedule):
        # AdamW's first steps on a constant gradient are the rate itself, where nothing decays.
        config = dataclasses.replace(_LABELS, schedule=schedule, steps=40, weight_decay=0.0)
        optimiser = loop._optimiser(config)

        def step(state, _):
            updates, state = optimiser.update(np.float32([1.0]), state, np.float32([0.0]))
            return state, -updates[0]

        return np.asarray(jax.lax.scan(step, optimiser.init(np.float32([0.0])), length=40)[1])

    np.testing.assert_allclose(rates("constant"), 1e-2, rtol=1e-4)
    cosine = 1e-2 * (1 + np.cos(np.pi * (np.arange(40) - 2) / 38)) / 2
    np.testing.assert_allclose(rates("cosine")[2:], cosine[2:], rtol=1e-4)
    onecycle = rates("onecycle")
    assert onecycle.argmax() == 6 and onecycle[6] == pytest.approx(1e-2, rel=1e-4)
    assert (np.diff(onecycle[:7]) > 0).all() and (np.diff(onecycle[6:]) < 0).all()


def test_an_orbax_folder_is_a_weight_file(tmp_path):
    import orbax.checkpoint as ocp

    params = jax.device_get(scene_cnn.init("scene_cnn_a", jax.random.key(0), num_outputs=5))
    ocp.PyTreeCheckpointer().save(tmp_path / "net", params)
    network = backbones.load("scene_cnn_a", tmp_path / "net")
    jax.tree.map(np.testing.assert_array_equal, network.params, params)
    assert network.num_classes == 5
    assert network.weights_sha256 == checkpoints.hash_arrays(checkpoints.flatten(params))
    (tmp_path / "empty").mkdir()
    with pytest.raises(causal_iqa.InputError, match="cannot be read as an Orbax checkpoint"):
        backbones.load("scene_cnn_a", tmp_path / "empty")


def test_views_of_photographs_are_refused(photographs):
    config = loop.TrainConfig(network="scene_features", objective="views")
    with pytest.raises(causal_iqa.InputError, match="only scenes"):
        loop.train(config, photographs, photographs, progress=False)
