"""Networks of masks and boxes through the compiled program, against the functions one by one."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from causal_iqa import InputError, data, pipeline, tasks
from causal_iqa.analysis import findings
from causal_iqa.report import study as study_report

_SIDE, _IMAGES = 32, 12
_MODULE = '''
import numpy as np
from causal_iqa import backbones

_SEEN = backbones.Preprocessing({side}, 1.0, (0.0,) * 3, (1.0,) * 3, smallest={side}, fixed_size=True)


def bright():
    """Calls bright pixels class 1, at half the side."""
    def run(images):
        grey = images.mean(axis=-1).reshape(len(images), {side} // 2, 2, {side} // 2, 2).mean(axis=(2, 4))
        return (grey > 0.5).astype(np.int32)

    return backbones.task_network(
        "bright", run, _SEEN, performance="mean_iou", num_classes=2, weights=np.ones(1)
    )


def brightest():
    """One box around the bright pixels of each image."""
    def one(image):
        rows, columns = np.nonzero(image.mean(axis=-1) > 0.5)
        if not len(rows):
            return np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return np.array([box]) / {side}, np.array([0.9]), np.array([1])

    def run(images):
        return backbones.padded_detections([one(image) for image in images], most=4)

    return backbones.task_network(
        "brightest", run, _SEEN, performance="box_f1", num_classes=2, weights=np.ones(1)
    )
'''


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """White squares on black, with masks and boxes that say where."""
    folder = tmp_path_factory.mktemp("squares")
    for name in ("images", "masks", "boxes"):
        (folder / name).mkdir()
    rng = np.random.default_rng(0)
    for place in range(_IMAGES):
        left, top = rng.integers(2, 16, 2)
        side = int(rng.integers(8, 14))
        mask = np.zeros((_SIDE, _SIDE), np.uint8)
        mask[top : top + side, left : left + side] = 1
        pixels = np.where(mask[..., None] > 0, 190, 60) + rng.integers(-40, 41, (_SIDE, _SIDE, 3))
        PIL.Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{place}.png")
        PIL.Image.fromarray(mask).save(folder / "masks" / f"{place}.png")
        centre = (left + side / 2) / _SIDE, (top + side / 2) / _SIDE
        (folder / "boxes" / f"{place}.txt").write_text(f"1 {centre[0]} {centre[1]} {side / _SIDE} {side / _SIDE}")
    (folder / "masks.csv").write_text("value,name,label\n0,black,0\n1,white,1\n")
    (folder / "classes.txt").write_text("nothing\nwhite\n")
    (folder / "mine.py").write_text(_MODULE.format(side=_SIDE))
    return folder


def _config(root, kind, function):
    return pipeline.StudyConfig(
        dataset=f"{kind}:{root / 'images'}",
        annotations=str(root / kind),
        classes=str(root / ("masks.csv" if kind == "masks" else "classes.txt")),
        networks=(pipeline.NetworkChoice.parse(f"mine={root / 'mine.py'}:{function}"),),
        num_images=_IMAGES,
        degradations=("gaussian_noise", "brightness", "contrast", "pixelate", "defocus_blur"),
        severities=(2.0, 5.0),
        metrics=("psnr",),
        num_resamples=10,
    )


def _run(config, folder):
    study = pipeline.prepare(config)
    output = pipeline.Store(folder, study.config, study.provenance, study.details)
    table = pipeline.run(study, output, pipeline.Execution(num_devices=1))
    return study, table


@pytest.fixture(scope="module")
def masks(root, tmp_path_factory):
    return _run(_config(root, "masks", "bright"), tmp_path_factory.mktemp("masks"))


@pytest.fixture(scope="module")
def boxes(root, tmp_path_factory):
    return _run(_config(root, "boxes", "brightest"), tmp_path_factory.mktemp("boxes"))


def test_mean_iou_of_clean_images_is_that_of_the_function(root, masks):
    study, table = masks
    assert study.config.task == "mean_iou"
    network = study.networks["mine"]
    for place, id in enumerate(table.image_ids):
        index = list(study.source.images.paths).index(id)
        example = study.source[index]
        predicted, _ = network.apply({}, jnp.asarray(example.image / 255.0, jnp.float32))
        truth = example.target.mask[::2, ::2] * 0 + example.target.mask[1::2, 1::2]
        counts = tasks.class_pixels(predicted, jnp.asarray(truth, jnp.int32), num_classes=2)
        expected = float(tasks.mean_iou(counts))
        assert table.columns["mine/performance"][0, place] == pytest.approx(expected, abs=1e-6)
        np.testing.assert_array_equal(table.vectors["mine/class_pixels"][0, place], np.concatenate(counts))
    assert np.ptp(table.columns["mine/performance"]) > 0.2


def test_objects_and_background_are_scored_apart(masks):
    study, table = masks
    inside, outside = (table.columns[f"psnr_{region}"] for region in ("object", "background"))
    row = [condition.name for condition in table.conditions].index("brightness/5")
    # Bright squares saturate where black ground does not.
    assert (inside[row] > outside[row] + 1).all()
    reads = {scorer.column.name: scorer.column.reads_beside for scorer in study.scorers}
    assert reads["psnr_object"] == ("clean_image", "clean_regions") and reads["psnr"] == ("clean_image",)


def test_boxes_are_judged_by_f1(boxes):
    study, table = boxes
    assert study.config.task == "box_f1"
    performance = table.columns["mine/performance"]
    assert set(np.unique(performance)) <= {0.0, 1.0} and 0 < performance.mean() < 1
    np.testing.assert_array_equal(table.vectors["mine/num_true"][0], [[0, 1]] * _IMAGES)
    hits = table.vectors["mine/box_found"].any(axis=2)
    np.testing.assert_array_equal(hits, performance == 1)


def test_the_report_has_the_set_beside_the_mean_of_images(masks, boxes, tmp_path):
    (tmp_path / "figures").mkdir()
    for (study, table), name, key in ((masks, "mean IoU", "mIoU"), (boxes, "F1 at IoU .5", "mAP at IoU .5")):
        columns = [scorer.column for scorer in study.scorers]
        found = findings.analyse(study.config, columns, table)
        assert not found.failures
        text = study_report.write(tmp_path, study.config, table, found, study.details)
        assert f"clean {name}" in text and key in text
        summary = __import__("json").loads((tmp_path / "summary.json").read_text())
        judged = summary["networks"]["mine"]
        assert judged["set"]["name"] == key and set(judged["set"]["conditions"]) == {c.name for c in table.conditions}
        if key == "mIoU":
            pixels = table.vectors["mine/class_pixels"][0].sum(axis=0).reshape(3, 2)
            expected = np.mean(pixels[0] / (pixels[1] + pixels[2] - pixels[0]))
            assert judged["set"]["conditions"]["clean/0"] == pytest.approx(expected)
            assert abs(expected - judged["clean_performance"]) > 1e-4


def test_what_does_not_fit_is_refused_in_one_line(root):
    wrong = _config(root, "masks", "brightest")
    with pytest.raises(InputError, match=r"network mine: it predicts boxes, masks:.* has masks as its truth"):
        pipeline.prepare(wrong)
    with pytest.raises(InputError, match="it predicts masks, scenes has classes"):
        pipeline.prepare(
            dataclasses.replace(
                wrong,
                dataset="scenes",
                annotations=None,
                classes=None,
                networks=_config(root, "masks", "bright").networks,
            )
        )
    many = dataclasses.replace(_config(root, "masks", "bright"), num_images=300)
    with pytest.raises(InputError, match=r"^num_images: expected 300 images of masks:.*, but only \d+ exist"):
        pipeline.prepare(many)
    with pytest.raises(InputError, match="annotations: masks need --annotations=PATH"):
        data.open_source(f"masks:{root / 'images'}")
