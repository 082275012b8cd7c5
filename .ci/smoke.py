"""Uses an installed wheel, from any folder but the checkout: python .ci/smoke.py CHECKOUT

Exits with an error when the package comes from the checkout, when the wheel brought one of the repository's own tools,
or when a command fails.
"""

import importlib.metadata
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile

_SMALL = (
    "--network=scene_cnn_a",
    "--degradations=contrast",
    "--severities=3",
    "--metrics=mse",
    "--backbone=scene_features",
    "--num_images=30",
    "--num_anchors=60",
    "--num_resamples=20",
)


def _run(*words: str, folder: str) -> str:
    ended = subprocess.run(["causal-iqa", *words], cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"causal-iqa {' '.join(words)} failed:\n{ended.stdout}\n{ended.stderr}")
    return ended.stdout


def main(checkout: str) -> None:
    """Runs the checks."""
    sys.path[:] = [entry for entry in sys.path if entry and not pathlib.Path(entry).is_relative_to(checkout)]
    import causal_iqa

    place = pathlib.Path(causal_iqa.__file__)
    if place.is_relative_to(checkout):
        sys.exit(f"this is the checkout's package: {place}")
    strangers = [name for name in ("experiments", "benchmarks", "colabs", "tests") if importlib.util.find_spec(name)]
    if strangers:
        sys.exit(f"the wheel brought {', '.join(strangers)}")
    version = importlib.metadata.version("causal-iqa")
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "experiments").mkdir()  # A project of one's own often has such a folder.
        pathlib.Path(folder, "experiments", "__init__.py").write_text("raise RuntimeError('not mine')\n")
        if _run("--version", folder=folder).strip() != version:
            sys.exit(f"causal-iqa --version is not {version}")
        metrics = _run("list", "metrics", folder=folder)
        printed = _run("align", *_SMALL, "--output_dir=run", folder=folder)
        run = pathlib.Path(folder, "run")
        if "ssim" not in metrics or "stages_free" not in printed or not (run / "report.html").stat().st_size:
            sys.exit("a command did not do what it should")
        json.loads((run / "summary.json").read_text("utf-8"))
    print(f"causal-iqa {version} works on Python {sys.version.split()[0]} with jax {importlib.metadata.version('jax')}")


if __name__ == "__main__":
    main(sys.argv[1])
