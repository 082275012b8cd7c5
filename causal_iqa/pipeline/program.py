"""The compiled flow: programs that degrade a batch, look at the results, judge and score them, chained on the devices.

Each is compiled by itself and depends only on what it computes: another metric, network or condition has itself
compiled, and nothing else. Only rows of scalars and short vectors leave the devices. Every device works on blocks of a
fixed number of images, so the arithmetic of one image is the same whatever the batch size. For another number of
devices XLA compiles other programs, with rounding of their own. Every random key comes from (seed, image id,
degradation).
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from causal_iqa import backbones
from causal_iqa._arrays import Device
from causal_iqa.degradations import Condition
from causal_iqa.pipeline import ladders, pieces
from causal_iqa.pipeline import piece_functions as functions
from causal_iqa.pipeline.columns import ProgramState, Scorer, joined_name, witness_key
from causal_iqa.pipeline.views import View

# Images of one block. Small enough that a block's arrays stay in a CPU's cache; accelerators take several conditions of
# a block at once instead.
BLOCK_IMAGES = 8
_CONDITIONS_AT_ONCE = {"cpu": 1}
_CONDITIONS_AT_ONCE_ACCELERATOR = 16
# Conditions that go through a program together: another number of conditions is another number of runs.
_MOST_CONDITIONS = 16
# What pieces are made of, by the first word of their key, and the side in pixels up to which it does not matter that
# one gathers them.
_CONTENT = {
    **dict.fromkeys(("judge", "look", "look alone", "maps", "regions"), pieces.Content.NETWORK),
    **dict.fromkeys(("degrade", "reference", "see"), pieces.Content.GATHERS),
}
_SMALL_SIDE = 64
_SHARED, _IMAGES, _RUNS = pieces.SHARED, pieces.IMAGES, pieces.RUNS


def make_program(
    *,
    seed: int,
    conditions: tuple[Condition, ...],
    networks: Mapping[str, backbones.Network],
    feature_backbones: Mapping[str, backbones.Network],
    views: tuple[View, ...],
    scorers: tuple[Scorer, ...],
    devices: list[Device],
    stability_views: int = 0,
    given_copies: bool = False,
) -> Callable[..., pieces.Found]:
    """Builds the program of a study.

    Args:
      seed: seed of the degradations.
      conditions: C of them.
      networks: name -> network to be judged.
      feature_backbones: name -> network that gives features.
      views: resolutions at which quality is scored.
      scorers: the score columns.
      devices: the images are split over them.
      stability_views: passes of every network over changed views of every image; 0: none.
      given_copies: whether the pixels are those of all conditions, [B, C, S, S, 3], clean first; nothing is degraded.

    Returns: `program(state, pixels uint8 [B, S, S, 3], labels int32 [B], salts uint32 [B]) -> Found`, with these
      columns [C, B]: the scores, `<network>/correct`, and the further scalars of `outputs.performance` and
      `outputs.stability`. The vectors [C, B, K] are those of `outputs.performance`, `<backbone>/features` under
      `outputs.keeping_projections`, and those of `outputs.second_opinion` and `outputs.witness_opinion`; the last also
      exist for several backbones read as one. With several views the names contain the view, as in
      `<backbone><view.suffix>/features`. B is the same at every call, a multiple of the number of devices. Where images
      have targets, `labels` is (labels, targets); for a network of another task the columns of
      `task_outputs.performance` replace those of `outputs`. `state` holds the parameters. The first call traces, while
      the programs are compiled.

    Examples:
      >>> network = pipeline.NetworkChoice("net", "scene_cnn_a")
      >>> config = pipeline.StudyConfig(
      ...     num_images=2, networks=(network,), metrics=("mse",), degradations=("contrast",), severities=(3.0,)
      ... )
      >>> study = pipeline.prepare(config)
      >>> program = pipeline.make_program(
      ...     seed=0,
      ...     conditions=study.interventions,
      ...     networks=study.networks,
      ...     feature_backbones=study.feature_backbones,
      ...     views=study.views,
      ...     scorers=study.scorers,
      ...     devices=jax.local_devices()[:1],
      ... )
    """
    study = networks, feature_backbones, views, scorers
    return _Flow(seed, conditions, *study, devices, stability_views, given_copies).run


class _Flow:
    """The pieces of a study, and the way through them.

    `_through` is gone twice: first with shapes, which builds the pieces and has them compiled side by side, then with
    arrays for every batch. A step names its piece, the function of one device's share and how its arguments are split.
    """

    def __init__(
        self, seed, conditions, networks, feature_backbones, views, scorers, devices, stability_views, given_copies
    ):
        self._seed, self._conditions, self._stability_views = seed, conditions, stability_views
        self._given_copies = given_copies
        self._networks = {name: backbones.without_weights(network) for name, network in networks.items()}
        self._backbones = {name: backbones.without_weights(network) for name, network in feature_backbones.items()}
        self._views, self._scorers = views, scorers
        self._devices = pieces.Devices(devices)
        self._at_once = _CONDITIONS_AT_ONCE.get(devices[0].platform, _CONDITIONS_AT_ONCE_ACCELERATOR)
        self._size = math.ceil(len(conditions) / math.ceil(len(conditions) / _MOST_CONDITIONS))
        self._num_classes = next((network.num_classes for network in networks.values()), 0)
        self._pieces: dict[Any, pieces.Piece] = {}
        self._side = 0

    def run(self, state: ProgramState, pixels: np.ndarray, labels: Any, salts: np.ndarray) -> pieces.Found:
        """Dispatches everything for one batch."""
        label, target = labels if isinstance(labels, tuple) else (labels, ())
        self._side = pixels.shape[-2]
        given = tuple(self._devices.put(x, pieces.IMAGES) for x in (pixels, label, target, salts))
        try:
            if not self._pieces:
                self._through(self._build, state, *(self._devices.shapes(x, pieces.IMAGES) for x in given))
            return pieces.Found(len(self._conditions), self._through(self._call, state, *given))
        except BaseException:  # An interrupted command ends now, not when everything is compiled.
            self._devices.pool.shutdown(wait=False, cancel_futures=True)
            raise

    def _build(self, key: Any, function: Callable, specs: Sequence[pieces.Spec], out: pieces.Spec, *arguments: Any):
        if key not in self._pieces:
            content = _CONTENT.get(key[0], pieces.Content.PIXELS)
            if content is pieces.Content.GATHERS and self._side <= _SMALL_SIDE:
                content = pieces.Content.PIXELS
            self._pieces[key] = self._devices.piece(function, specs, out, *arguments, content=content)
        return self._pieces[key].outputs

    def _call(self, key: Any, function: Callable, specs: Any, out: Any, *arguments: Any) -> Any:
        return self._pieces[key](*arguments)

    def _through(self, step: Callable, state: ProgramState, pixels: Any, label: Any, target: Any, salts: Any) -> list:
        clean, keys, view_keys = step(
            "begin",
            functools.partial(functions.begin, self._seed, self._given_copies),
            (_IMAGES, _IMAGES),
            _IMAGES,
            pixels,
            salts,
        )
        if self._given_copies:
            degraded, order = (
                [step("given", functions.given_copies, (_IMAGES,), _RUNS, pixels)],
                np.arange(len(self._conditions)),
            )
        else:
            degraded, order = self._degraded(step, keys, clean)
        runs = step(
            "runs", functools.partial(functions.cut, order, self._size), (_RUNS,) * len(degraded), _RUNS, *degraded
        )
        found = []
        for name, network in self._networks.items():
            params, each = state.networks[name], [(run,) for run in runs]
            if network.task is not None:
                own = _Step(("judge", name), functools.partial(functions.perform, name, network), (_SHARED, _IMAGES))
                found.append(self._rows(step, own, each, params, target))
                continue
            own = _Step(
                ("judge", name),
                functools.partial(functions.judge, name, network, self._stability_views),
                (_SHARED, _IMAGES, _IMAGES),
            )
            found.append(self._rows(step, own, each, params, label, view_keys))
        for view in self._views:
            found += self._of_view(step, state, view, clean, runs, label, target)
        return found

    def _degraded(self, step, keys: Any, clean: Any) -> tuple[list, np.ndarray]:
        """The conditions by structure, and where each stands among them."""
        parts = ladders.by_structure(self._conditions)
        degraded = []
        for structure, places in parts.items():
            function = ladders.degrading(structure, [self._conditions[i] for i in places])
            degraded.append(step(("degrade", structure), function, (_IMAGES, _IMAGES), _RUNS, keys, clean))
        return degraded, np.argsort(np.concatenate(list(parts.values())))

    def _of_view(
        self, step: Callable, state: ProgramState, view: View, clean: Any, runs: Sequence[Any], label: Any, target: Any
    ) -> list:
        """The scores of one view."""
        reference, seen = clean, runs
        if view.interpolation is not None:
            reference = step(
                ("reference", view.name), functools.partial(functions.see, view), (_IMAGES,), _IMAGES, clean
            )
            see = functools.partial(functions.see_run, view)
            seen = [step(("see", view.name), see, (_RUNS,), _RUNS, run) for run in runs]
        own = [scorer for scorer in self._scorers if scorer.view == view.name]
        found = []
        for scorer in own:
            if scorer.backbone is None and not scorer.reads_target:
                metric = _Step(
                    ("metric", scorer.column.name),
                    functools.partial(functions.score_pixels, scorer.column.name, scorer.fn),
                    (_IMAGES, _IMAGES),
                )
                found.append(self._rows(step, metric, [(run,) for run in seen], reference, label))
        of_regions = [scorer for scorer in own if scorer.reads_target]
        if of_regions:
            every = state.backbones
            maps = step(
                ("maps", view.name),
                functools.partial(functions.maps, view, self._backbones),
                (_SHARED, _IMAGES),
                _IMAGES,
                every,
                reference,
            )
            specs = (_SHARED, _IMAGES, _IMAGES, _IMAGES)
            row = _Step(
                ("regions", view.name), functools.partial(functions.score_regions, _functions(of_regions)), specs
            )
            found.append(self._rows(step, row, [(run,) for run in seen], every, reference, maps, target))
        features = {
            name: [
                step(
                    ("look", view.name, name),
                    self._looking(view, name),
                    (_SHARED, _RUNS),
                    _RUNS,
                    state.backbones[name],
                    run,
                )
                for run in seen
            ]
            for name in view.backbone_sides
        }
        with_clean = any(scorer.reads_clean_features for scorer in own)
        of_clean = self._clean_features(step, state, view, features, reference) if with_clean else {}
        names = tuple(features)
        owners = {name: (name,) for name in names} | ({joined_name(names): names} if len(names) > 1 else {})
        for owner, read in owners.items():
            scorers = [scorer for scorer in own if scorer.backbone == owner]
            if not scorers and owner not in features:
                continue
            row = _Step(
                ("quality", view.name, owner),
                functools.partial(functions.score_features, self._owner(view, owner, read), _functions(scorers)),
                (_SHARED, _IMAGES, _IMAGES),
            )
            some = ProgramState(
                networks={},
                backbones={name: state.backbones[name] for name in read},
                witnesses={key: value for key, value in state.witnesses.items() if key in {s.witness for s in scorers}},
                projections={name: state.projections[name] for name in read},
            )
            each = [({name: features[name][i] for name in read},) for i in range(len(seen))]
            found.append(self._rows(step, row, each, some, {name: of_clean[name] for name in read if of_clean}, label))
        return found

    def _clean_features(
        self, step: Callable, state: ProgramState, view: View, features: Mapping[str, Sequence[Any]], reference: Any
    ) -> dict:
        """Features [B, ...] of the clean images, taken from the condition without a degradation where there is one."""
        places = [i for i, condition in enumerate(self._conditions) if condition.structure == Condition()]
        places = [0] if self._given_copies else places
        found = {}
        for name, runs in features.items():
            if places:
                run, place = runs[places[0] // self._size], places[0] % self._size
            else:
                alone = step(("alone", view.name), functions.as_run, (_IMAGES,), _RUNS, reference)
                key = ("look alone", view.name, name)
                run, place = (
                    step(key, self._looking(view, name), (_SHARED, _RUNS), _RUNS, state.backbones[name], alone),
                    0,
                )
            pick = functools.partial(functions.pick, place)
            found[name] = step(("clean features", view.name, name), pick, (_RUNS,), _IMAGES, run)
        return found

    def _looking(self, view: View, name: str) -> Callable:
        return functools.partial(functions.look, view, name, self._backbones[name], self._at_once)

    def _owner(self, view: View, owner: str, read: tuple[str, ...]) -> functions.Owner:
        suffix = view.suffix if len(self._views) > 1 else ""
        network = self._backbones.get(owner)
        return functions.Owner(owner, read, network, suffix, witness_key("stages", owner, view.name), self._num_classes)

    def _rows(self, step: Callable, own: "_Step", each: Sequence[tuple], *others: Any) -> list[pieces.Packed]:
        """Runs a function of one image under one condition over all of them.

        Args:
          step: `_build` or `_call`.
          own: the function and how `others` are split.
          each: its first arguments, by run.
          *others: the rest, of all runs.
        """
        count = len(each[0])
        axes = (0,) * count + tuple(None if spec == _SHARED else 0 for spec in own.specs)
        function = functools.partial(functions.over_runs, own.function, axes, count, self._at_once)
        return [step(own.key, function, (_RUNS,) * count + own.specs, _RUNS, *one, *others) for one in each]


def _functions(scorers: Sequence[Scorer]) -> tuple[tuple[str, Callable], ...]:
    """What a program needs of scorers: the names of their columns, and their functions."""
    return tuple((scorer.column.name, scorer.fn) for scorer in scorers)


class _Step(NamedTuple):
    """A function of one image under one condition: the key of its piece, and how arguments of all runs are split."""

    key: tuple[str, ...]
    function: Callable[..., Mapping[str, jax.Array]]
    specs: tuple[pieces.Spec, ...]
