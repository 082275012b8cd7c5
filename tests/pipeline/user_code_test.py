"""The text behind a user's function: its own and that of the user's modules that it imports, nothing else."""

import sys

from causal_iqa import pipeline
from causal_iqa.pipeline import user_code
from tests.pipeline import folders


def test_changed_code_that_a_users_network_imports_is_named(config, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("layers_of_mine", "unrelated_to_mine"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / f"{name}.py").write_text("SIZE = 1\n")
    (tmp_path / "mine.py").write_text(folders.NETWORK.format(imported="import layers_of_mine"))
    reference = config.networks[0].architecture
    pipeline.prepare(config)
    first = user_code.digest_code(reference)
    (tmp_path / "unrelated_to_mine.py").write_text("SIZE = 2\n")
    assert user_code.digest_code(reference) == first
    (tmp_path / "layers_of_mine.py").write_text("SIZE = 2\n")
    assert user_code.digest_code(reference) != first


def test_a_function_of_a_module_is_known_by_the_text_of_the_module():
    by_name = user_code.digest_code("tests.pipeline.folders:rows")
    assert by_name == user_code.digest_code("tests.pipeline.folders:rows")
    assert by_name != user_code.digest_code("tests.pipeline.folders:score")
    assert by_name != user_code.digest_code("tests.pipeline.conftest:rows")
