"""What the commands say of themselves: help in groups, lists for people, and one line for a mistyped flag."""

import importlib
import json
import os
import pathlib
import subprocess
import sys

import pytest

from causal_iqa import cli, degradations, metrics, quality
from causal_iqa.cli import completion, help, listing, running
from tests.experiments import binaries

_ROOT = pathlib.Path(__file__).parents[2]


def _shell(*arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    command = [sys.executable, "-m", "causal_iqa", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_flag_of_a_command_is_in_its_help(name):
    module = importlib.import_module(cli.module_name(name))
    own = sorted(module.FLAGS.values)
    assert sorted(flag for names in module.FLAGS.groups.values() for flag in names) == own
    text = help.help_text(module.__doc__ or "", module.FLAGS.groups, module.FLAGS.values)
    assert all(f"--{flag}=" in text or f"--[no]{flag}" in text for flag in own)
    assert max(map(len, text.splitlines())) <= 120
    assert f"causal-iqa {name}" in text
    assert sorted(completion.flag_names(name)) == own


def test_help_shows_the_main_flags_first_and_succeeds():
    ended = _shell("align", "--help")
    assert ended.returncode == 0 and ended.stderr == ""
    places = [ended.stdout.index(f"\n  --{flag}=") for flag in ("dataset", "network", "metrics", "output_dir", "level")]
    assert places == sorted(places)
    assert ended.stdout.index("Main flags:") < places[0]
    assert "repeat this option" not in ended.stdout and "<auto" not in ended.stdout


def test_the_program_without_a_command_says_what_there_is_and_imports_nothing_heavy():
    imported = "import sys; from causal_iqa import cli; cli.main(); print(sorted({'jax', 'numpy'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    ended = subprocess.run(
        [sys.executable, "-c", imported], capture_output=True, text=True, env=environment, check=True
    )
    assert all(f"\n  {name} " in ended.stdout for name in cli.COMMANDS)
    assert ended.stdout.endswith("[]\n")
    assert importlib.import_module("causal_iqa").__version__ in _shell("--version").stdout


def test_help_shows_every_default_that_its_words_do_not():
    module = importlib.import_module(cli.module_name("score"))
    shown = " ".join(help.help_text(module.__doc__ or "", module.FLAGS.groups, module.FLAGS.values).split())
    assert "float32 in any case. Default: highest." in shown  # "default" is also one of its values.
    assert "Threads that decode images. Default: 2." in shown
    assert "Images per step (default: what fits the memory). --memory_gb" in shown


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["algin"], "error: unknown command 'algin': did you mean align?"),
        (["align", "--sevrities=1"], "error: unknown flag --sevrities: did you mean --severities? (see --help)"),
        (["align", "--seed=one"], "error: flag --seed=one: invalid literal for int() with base 10: 'one' (see --help)"),
        (["score"], "error: --images must be given (see --help)"),
        (["list", "metric"], "error: unknown list 'metric': did you mean metrics?"),
    ],
)
def test_a_mistyped_command_line_is_one_line(arguments, expected):
    ended = _shell(*arguments)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", expected + "\n")


@pytest.mark.parametrize("kind", listing.KINDS)
def test_lists_are_one_line_each_and_json_on_request(kind, capsys):
    binaries.run("list", kind)
    lines = capsys.readouterr().out.splitlines()
    binaries.run("list", kind, "--format=json")
    values = json.loads(capsys.readouterr().out)
    assert len(lines) == len(values) + 2
    assert all(len(line.split("  ")) > 2 for line in lines[2:])


def test_the_list_of_metrics_holds_the_new_scores_and_those_that_read_files(capsys):
    binaries.run("align", "--list_metrics")
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(metrics.TABLE) | {f"{name}@BACKBONE" for name in quality.TABLE} <= set(lines)
    assert {name.partition("@")[0] for name in lines if name.endswith("@...")} == set(metrics.usage())
    assert "full_reference" in lines["ssim"] and "image, pristine image" in lines["ssim"] and "higher" in lines["ssim"]
    assert "lower" in lines["mse"] and "label_free" in lines["stages_free@BACKBONE"]
    binaries.run("align", "--list_degradations", "--format=json")
    assert set(json.loads(capsys.readouterr().out)) == set(degradations.TABLE)


def test_completion_is_a_script_that_bash_reads():
    script = _shell("completion").stdout
    asked = f'{script}\nCOMP_WORDS=(causal-iqa align --sev); COMP_CWORD=2; _causal_iqa; echo "${{COMPREPLY[@]}}"'
    ended = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["--severities="]


def test_an_unknown_flag_is_compared_with_the_flags_of_the_command_alone():
    ended = _shell("record", "--metric=ssim")
    assert ended.returncode == 1 and ended.stderr == "error: unknown flag --metric (see --help)\n"
    assert running._in_one_line("Unknown command line flag 'pages'. Did you mean: pdb ?", ["page", "study"]) == (
        "unknown flag --pages: did you mean --page?"
    )
