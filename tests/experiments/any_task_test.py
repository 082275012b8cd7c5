"""The examples of docs/any_task.md, executed as they stand."""

import json
import pathlib
import re

import pytest

_PAGE = pathlib.Path(__file__).parents[2] / "docs" / "any_task.md"
_EXAMPLES = re.findall(r"<!-- run -->\n```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize(
    ("place", "folder", "name", "aligned"),
    [
        (0, "regression", "minus error in grey levels", "psnr"),
        pytest.param(1, "retrieval", "reciprocal rank", "ssim", marks=pytest.mark.slow),
    ],
)
def test_an_example_runs_and_predicts_its_performance(tmp_path, monkeypatch, capsys, place, folder, name, aligned):
    assert len(_EXAMPLES) == 2
    monkeypatch.chdir(tmp_path)
    exec(compile(_EXAMPLES[place], f"example {place}", "exec"), {})
    printed = capsys.readouterr().out
    assert f"clean {name}" in printed and "warning" not in printed.split("network")[0]
    summary = json.loads((tmp_path / folder / "run" / "summary.json").read_text())
    assert summary["measure"]["name"] == name and not summary["failed"]
    assert summary["metrics"][aligned]["alignment"]["all"]["between"]["rho"] > 0.3
    assert aligned in summary["predicted_performance"]
