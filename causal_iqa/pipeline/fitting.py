"""The witnesses of a study, fitted on anchor images or taken of the heads of the backbones."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from causal_iqa import _blas, _checks, _kept_programs, _keys, backbones, images, quality
from causal_iqa.backbones.text import tokenizers
from causal_iqa.pipeline import degraded_anchors, provenance
from causal_iqa.pipeline.anchors import ANCHOR_BATCH, AnchorImages
from causal_iqa.pipeline.columns import count_variant, joined_name, witness_key
from causal_iqa.pipeline.config import StudyConfig
from causal_iqa.pipeline.views import View

_LEAST_ANCHORS = 2
# Anchors up to which threads of BLAS gain little; where other processes work they cost a multiple.
_ON_ONE_THREAD = 2000
_NOT_FINITE = "not_finite@"
_NO_IMAGES = provenance.Listing()


def _anchor_features(name: str, backbone: backbones.Network, pixels: np.ndarray, view: View) -> quality.StageFeatures:
    # The witnesses fitted on images read no glances.
    view = dataclasses.replace(view, glances={})

    bare = backbones.without_weights(backbone)

    def one(params, image):
        return view.features(name, bare, params, view.see(images.from_uint8(image)))

    apply = _kept_programs.Function(jax.vmap(one, in_axes=(None, 0)))
    padded = np.concatenate([pixels, pixels[:1].repeat(-len(pixels) % ANCHOR_BATCH, axis=0)])
    chunks = padded.reshape(-1, ANCHOR_BATCH, *pixels.shape[1:])
    found = [jax.device_get(apply(backbone.params, chunk)) for chunk in chunks]
    return jax.tree.map(lambda *parts: np.concatenate(parts)[: len(pixels)], *found)


def _finite_only(
    features: Mapping[str, quality.StageFeatures], labels: np.ndarray
) -> tuple[dict[str, quality.StageFeatures], np.ndarray, dict[str, int], np.ndarray]:
    """The anchors for which the features of every backbone are finite, how many each costs, and which they are."""
    finite = {
        name: np.all(
            [np.isfinite(leaf).reshape(len(labels), -1).all(axis=1) for leaf in jax.tree.leaves(found)], axis=0
        )
        for name, found in features.items()
    }
    broken = {name: int((~of).sum()) for name, of in finite.items() if not of.all()}
    for name, count in broken.items():
        if count > len(labels) - _LEAST_ANCHORS:
            raise _checks.InputError(
                f"backbone {name}: its features are not finite for {count} of {len(labels)} anchors; check its weights "
                "and preprocessing"
            )
    if not broken:
        return dict(features), labels, broken, np.ones(len(labels), bool)
    kept = np.all(list(finite.values()), axis=0)
    if kept.sum() < _LEAST_ANCHORS:
        raise _checks.InputError(
            f"anchors: for {len(labels) - kept.sum()} of {len(labels)} the features of {', '.join(broken)} are not "
            "finite; check their weights and preprocessing"
        )
    return (
        {name: jax.tree.map(lambda x: x[kept], found) for name, found in features.items()},
        labels[kept],
        broken,
        kept,
    )


def not_finite_remarks(notes: Mapping[str, Any], num_anchors: int) -> list[str]:
    """Says of which anchors the features were not finite.

    Args:
      notes: result of `fit_on_images`.
      num_anchors: how many there were.
    """
    return [
        f"anchors: the features of {name} are not finite for {count} of {num_anchors}, which are left out"
        for key, broken in notes.items()
        if key.startswith(_NOT_FINITE)
        for name, count in broken.items()
    ]


def fit_on_images(
    anchors: AnchorImages,
    num_classes: int,
    views: Sequence[View],
    feature_backbones: Mapping[str, backbones.Network],
    counts: Sequence[int] = (),
    *,
    degraded: degraded_anchors.DegradedAnchors = degraded_anchors.NONE,
    detectors: bool = False,
    seed: int = 0,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fits every witness on anchor images.

    Args:
      anchors: the images, classes in turn.
      num_classes: number of classes of the task.
      views: resolutions at which quality is scored.
      feature_backbones: name -> network that gives features.
      counts: sizes of the first anchors on which the witness over stages is fitted as well.
      degraded: which anchors are degraded and how, to learn when the witness over stages is right.
      detectors: whether the detectors on the witness over stages are fitted.
      seed: seed of those degradations.

    Returns:
      ({`witness_key`: witness}, {"BACKBONE@VIEW": what leave-one-out chose, and "not_finite@VIEW": {backbone: anchors
      left out because its features are not finite}, JSON values}). A backbone with a head for these classes has a
      witness of it, too; two backbones and more, one over all of them.

    Raises:
      InputError: when the features of a backbone are finite for fewer than two anchors.
    """
    few = len(anchors.labels) <= _ON_ONE_THREAD
    fit = _blas.one_thread(_fit_on_images) if few else _fit_on_images
    return fit(anchors, num_classes, views, feature_backbones, counts, degraded, detectors, seed)


def _fit_on_images(anchors, num_classes, views, feature_backbones, counts, degraded, detectors, seed):
    witnesses, notes = {}, {}
    copies, origins = degraded_anchors.features_of(
        degraded, anchors.pixels, anchors.ids, seed, views, feature_backbones
    )
    for view in views:
        features = {
            name: _anchor_features(name, feature_backbones[name], anchors.pixels, view) for name in view.backbone_sides
        }
        features, labels, broken, kept = _finite_only(features, anchors.labels)
        if broken:
            notes[f"{_NOT_FINITE}{view.name}"] = broken
        of_copies, own = copies.get(view.name, {}), origins
        if broken and of_copies:  # Copies of the anchors that are left, which are numbered anew.
            there = kept[origins]
            own = (np.cumsum(kept) - 1)[origins[there]]
            of_copies = jax.tree.map(lambda x, there=there: x[there], of_copies)
        for name in view.backbone_sides:
            fitted = quality.Anchors(features[name].final, labels, num_classes)
            witnesses[witness_key("plain", name, view.name)] = quality.fit_witness(fitted)
            key = witness_key("regularised", name, view.name)
            witnesses[key], choice = quality.fit_regularised_witness(fitted)
            notes[f"{name}@{view.name}"] = choice._asdict()
            if has_head(feature_backbones[name], num_classes):
                witnesses[witness_key("head", name, view.name)] = _head(feature_backbones[name])
        if len(features) > 1:
            if of_copies:
                of_copies = {**of_copies, joined_name(features): quality.joined([of_copies[name] for name in features])}
            features[joined_name(features)] = quality.joined(tuple(features.values()))
        for name, found in features.items():
            for count in (None, *counts):
                variant = count_variant(count)
                first = jax.tree.map(lambda x, count=count: x[:count], found)
                witness, choice = quality.fit_stages_witness(first, labels[:count], num_classes)
                if count is None and of_copies:
                    witness, seen = quality.fit_success(
                        witness, choice, found, labels, of_copies[name], own, seed=_tree_seed(seed)
                    )
                    notes[f"success@{name}@{view.name}"] = seen._asdict()
                if count is None and detectors:
                    witness = quality.fit_detectors(witness, found)
                    if of_copies:
                        witness, seen = quality.fit_ranks(witness, choice, found, labels, of_copies[name], own)
                        notes[f"ranks@{name}@{view.name}"] = seen._asdict()
                witnesses[witness_key("stages", name, view.name, variant)] = witness
                notes[f"stages@{name}@{view.name}{variant}"] = choice._asdict()
    return witnesses, notes


def _tree_seed(seed: int) -> int:
    return int(jax.random.bits(_keys.named(seed, "trees of degraded anchors"), dtype="uint32"))


def has_head(backbone: backbones.Network, num_classes: int) -> bool:
    """Whether a backbone has class vectors for so many classes."""
    return backbone.head() is not None and backbone.num_classes == num_classes


def _head(backbone: backbones.Network) -> quality.ClassVectorWitness:
    head = backbone.head()
    assert head is not None, "asked for where `has_head`"
    kernel, bias = head
    return quality.fit_class_vectors(quality.ClassVectors(np.asarray(kernel).T, np.asarray(bias)))


def fit_on_heads(
    num_classes: int, views: Sequence[View], feature_backbones: Mapping[str, backbones.Network]
) -> dict[str, Any]:
    """Takes the class vectors of the backbones' own heads as anchors.

    Args:
      num_classes: number of classes of the task.
      views: resolutions at which quality is scored.
      feature_backbones: name -> network that gives features.

    Returns:
      {`witness_key`: witness}; the witnesses that read one layer are the same.

    Raises:
      InputError: when a backbone has no head for so many classes.
    """
    witnesses = {}
    for name, backbone in feature_backbones.items():
        if not has_head(backbone, num_classes):
            raise _checks.InputError(
                f"anchors: backbone {name} has no head for these {num_classes} classes; use --anchors=images"
            )
        fitted = _head(backbone)
        for view in views:
            for witness in ("plain", "regularised", "head"):
                witnesses[witness_key(witness, name, view.name)] = fitted
    return witnesses


def fit_without_classes(
    config: StudyConfig, views: Sequence[View], feature_backbones: Mapping[str, backbones.Network]
) -> tuple[dict[str, Any], dict[str, Any], provenance.Listing]:
    """Takes every backbone's own head as its anchors, for images without classes: any task.

    Args:
      config: configuration of the study; text anchors are heads by now.
      views: resolutions at which quality is scored.
      feature_backbones: name -> network that gives features.

    Returns: The description of the anchors as JSON values, {`witness_key`: witness}, and an empty listing. A backbone
      without a head has no witness; a remark says so.

    Raises:
      InputError: when images were asked for as anchors, and no data set with classes is named.
    """
    if config.anchors == "images":
        raise _checks.InputError(
            "anchors: the judged images have no classes; name labelled images with --anchor_dataset, or use "
            "--anchors=head"
        )
    heads = {name: one for name, one in feature_backbones.items() if one.head() is not None}
    witnesses = {}
    for name, backbone in heads.items():
        witnesses |= fit_on_heads(backbone.num_classes, views, {name: backbone})
    remarks = [
        f"anchors: backbone {name} has no head and the images have no classes; its features are compared with those of "
        "the clean image alone"
        for name in feature_backbones
        if name not in heads
    ]
    number = {name: one.num_classes for name, one in heads.items()}
    kind = "text" if config.anchors == "text" else "head"
    return {"kind": kind, "num": sum(number.values()), "of_backbone": number, "remarks": remarks}, witnesses, _NO_IMAGES


def with_text_anchors(
    config: StudyConfig, dataset_names: Sequence[str], feature_backbones: Mapping[str, backbones.Network]
) -> dict[str, backbones.Network]:
    """Gives every backbone a head of class names: its text tower's embeddings of prompts.

    Args:
      config: says which prompts, which class names and which vocabulary.
      dataset_names: the classes as the dataset names them.
      feature_backbones: name -> network with a text tower.

    Returns:
      Name -> zero-shot classifier, for `fit_on_heads`.

    Raises:
      InputError: when a backbone has no text tower, the vocabulary is not available, or the file of class names does
        not name every class.
    """
    names = _class_names(config.class_names, dataset_names)
    files = {choice.name: choice.path for choice in config.backbones}
    with_heads = {}
    for name, backbone in feature_backbones.items():
        if backbone.text is None:
            raise _checks.InputError(
                f"anchors: text needs a text tower, and backbone {name} has none (clip_*, siglip_*)"
            )
        kind = backbone.text.tokenizer
        path = config.tokenizer or tokenizers.find(kind, files[name])
        templates = backbones.TEMPLATES[config.templates]
        embedded = backbones.class_embeddings(backbone, tokenizers.load(kind, path), names, templates=templates)
        with_heads[name] = backbones.zero_shot_classifier(backbone, embedded)
    return with_heads


def _class_names(path: str | None, dataset_names: Sequence[str]) -> Sequence[str]:
    if path is None:
        return dataset_names
    try:
        names = [line.strip() for line in pathlib.Path(path).read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise _checks.InputError(f"class_names: {path} cannot be read ({error})") from error
    if len(names) != len(dataset_names):
        raise _checks.InputError(f"class_names: expected {len(dataset_names)} names, {path} has {len(names)}")
    return names
