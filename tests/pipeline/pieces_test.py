"""Programs of a study that are kept: one digest, one program; and a change has itself compiled, and nothing else."""

import concurrent.futures
import dataclasses

import jax
import pytest

from causal_iqa import _kept_programs, backbones, pipeline
from causal_iqa.degradations import Condition
from causal_iqa.pipeline import rows


@pytest.fixture(scope="module")
def study():
    config = pipeline.StudyConfig(
        num_images=4,
        networks=(pipeline.NetworkChoice("net", "scene_cnn_a"),),
        backbones=(pipeline.NetworkChoice("features", "scene_features"),),
        metrics=("mse", "entropy"),
        degradations=("contrast", "gaussian_noise"),
        severities=(3.0,),
        num_anchors=60,
    )
    return pipeline.prepare(config)


class _Stop(Exception):
    pass


@pytest.fixture
def pieces_of(monkeypatch):
    """Function of a work: piece -> (key, text of the program); nothing is compiled."""

    def traced(work: rows.Work) -> dict[str, tuple[str, str]]:
        found: dict[str, tuple[str, str]] = {}

        def compiled(make, arguments, defined_by, options, devices, pool):
            key = _kept_programs._key(defined_by, arguments, options, devices)
            assert key is not None, defined_by
            lowered, outputs = _kept_programs._lower(make(), arguments, options)
            found[f"{len(found)} {getattr(defined_by[0], 'func', defined_by[0]).__name__}"] = key, lowered.as_text()
            return _kept_programs.Program(_kept_programs._shapes(outputs), concurrent.futures.Future())

        def stop(*_):
            raise _Stop

        monkeypatch.setattr(_kept_programs, "compiled", compiled)
        monkeypatch.setattr("causal_iqa.pipeline.program._Flow._call", stop)
        step, size = rows.make_step(work, pipeline.Execution(num_devices=1))
        batch = next(iter(_batches(work, size)))
        with pytest.raises(_Stop):
            step(batch)
        return found

    return traced


def _batches(work, size):
    from causal_iqa import data

    return data.batches(
        work.source, work.indices, batch_size=size, size=work.image_size, crop_fraction=work.crop_fraction, workers=1
    )


def _scorers(work, *left_out):
    return tuple(scorer for scorer in work.scorers if scorer.column.metric not in left_out)


def _heavier(network: backbones.Network) -> backbones.Network:
    return dataclasses.replace(network, params=jax.tree.map(lambda x: 2 * x, network.params), weights_sha256="other")


def _variants(work):
    other = backbones.open_network("scene_cnn_b")
    conditions = work.interventions
    return {
        "as it is": work,
        "seed": dataclasses.replace(work, seed=work.seed + 1),
        "a metric less": dataclasses.replace(work, scorers=_scorers(work, "mse")),
        "severity": dataclasses.replace(
            work, interventions=(*conditions[:-1], Condition.parse(str(conditions[-1]).replace("/3", "/4")))
        ),
        "a condition less": dataclasses.replace(work, interventions=conditions[:-1]),
        "weights": dataclasses.replace(work, networks={name: _heavier(net) for name, net in work.networks.items()}),
        "network": dataclasses.replace(work, networks=dict.fromkeys(work.networks, other)),
        "precision": dataclasses.replace(
            work, networks={name: backbones.with_precision(net, "bfloat16") for name, net in work.networks.items()}
        ),
        "changed views": dataclasses.replace(work, stability_views=2),
    }


def test_programs_of_one_digest_are_one_program(study, pieces_of):
    pieces = {name: pieces_of(work) for name, work in _variants(study).items()}
    texts: dict[str, set[str]] = {}
    for of_variant in pieces.values():
        for key, text in of_variant.values():
            texts.setdefault(key, set()).add(text)
    assert [key for key, own in texts.items() if len(own) > 1] == []

    def compiled_anew(name: str) -> list[str]:
        known = {key for key, _ in pieces["as it is"].values()}
        return [piece.split()[1] for piece, (key, _) in pieces[name].items() if key not in known]

    assert compiled_anew("as it is") == compiled_anew("a metric less") == compiled_anew("weights") == []
    assert compiled_anew("seed") == ["begin"]
    assert compiled_anew("severity") == ["_ladder"]
    assert compiled_anew("network") == compiled_anew("precision") == compiled_anew("changed views") == ["over_runs"]
    assert len(compiled_anew("a condition less")) > 3  # The runs of conditions are shorter.
