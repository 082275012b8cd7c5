"""The command that writes copies, and the study that reads them: what is printed, what is refused."""

import numpy as np
import PIL.Image
import pytest

from causal_iqa import copies
from tests.experiments.binaries import error_of, run


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for name in ("a", "b"):
        PIL.Image.fromarray(rng.integers(0, 256, (9, 11, 3)).astype(np.uint8)).save(folder / f"{name}.png")
    (folder / "broken.jpg").write_bytes(b"none")
    return folder


def test_copies_are_written_and_what_cannot_be_read_is_named(photos, tmp_path, capsys):
    flags = (f"--images={photos}", f"--output_dir={tmp_path}/out", "--parameters=cifar_c", "--num_processes=1")
    run("degrade", *flags, "--degradations=contrast", "--severities=3", "--clean")
    printed = capsys.readouterr().out
    assert "skipped broken.jpg: " in printed and "1 unreadable images were left out, 2 copied" in printed
    assert printed.splitlines()[-1] == f"4 copies: {tmp_path}/out"
    expected = copies.degrade(
        np.asarray(PIL.Image.open(photos / "b.png")), "contrast/3|family=cifar32", image_id="b.png"
    )
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(tmp_path / "out/contrast/3/b.png")), expected)
    run("degrade", *flags, "--degradations=contrast", "--severities=3", "--clean")
    assert "made otherwise: seed" in error_of(
        capsys, "degrade", *flags, "--degradations=contrast", "--severities=3", "--clean", "--seed=1"
    )
    assert "unlabelled" not in error_of(capsys, "align", f"--images={tmp_path}/out", "--network=x=y")


def test_refusals_are_one_line(photos, tmp_path, capsys):
    flags = (f"--images={photos}", f"--output_dir={tmp_path}/out")
    assert "--parameters=imagenet_c|" in error_of(capsys, "degrade", *flags)
    assert "did you mean" in error_of(capsys, "degrade", *flags, "--degradations=contrasts")
    assert "does not exist" in error_of(
        capsys, "degrade", "--images=nowhere", f"--output_dir={tmp_path}/out", "--parameters=cifar_c"
    )
    assert "nothing degraded in" in error_of(capsys, "align", f"--images={tmp_path}/out")
    (tmp_path / "out/fog/strong").mkdir(parents=True)
    assert "holds 'strong'; expected" in error_of(capsys, "align", f"--images={tmp_path}/out")
    (tmp_path / "out/fog/strong").rename(tmp_path / "out/fog/3")
    assert "holds no clean images" in error_of(capsys, "align", f"--images={tmp_path}/out")
    none = ("--dataset=scenes", "--degradations=snow")
    assert "none of the conditions asked for" in error_of(capsys, "align", f"--images={tmp_path}/out", *none)
