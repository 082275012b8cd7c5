"""Resamples of the alignment numbers: whole images are drawn, with all their conditions."""

import functools
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np

from causal_iqa import _checks, _keys
from causal_iqa._arrays import Device
from causal_iqa.alignment import _sweep, attenuation, correlation

# Floats of a table of level ranks that one block may hold for one performance (128 MB).
_TABLE_FLOATS = 1 << 24
_MAX_BLOCK = 1024
# Resamples drawn at a time.
_DRAWN = 100
# With fewer images or conditions a resample is one of few, and an interval of them says nothing.
LEAST_IMAGES, LEAST_CONDITIONS = 10, 5
NUMBERS = ("between", "corrected", "within", "pooled")


class Resamples(NamedTuple):
    """The numbers on the original images (entry 0) and on every resample, float64 [1 + num_resamples] each.

    between, within, pooled: on images drawn with replacement; NaN except in entry 0 with too few images or conditions.
    corrected: *between* corrected for attenuation, and draws around it with the covariance of its jackknife; may
      exceed 1. NaN where `reliability.reason` says why, None where it was not computed.
    reliability: reliability of the condition means that *between* compares.
    fisher: whether the resamples have similar spreads on Fisher's scale, as those of degradations have, and standard
      errors are taken on that scale.
    """

    between: np.ndarray
    within: np.ndarray
    pooled: np.ndarray
    corrected: np.ndarray | None = None
    reliability: attenuation.Reliability = attenuation.UNKNOWN
    fisher: bool = False


class _Job(NamedTuple):
    """One score table with the networks judged by it whose defined entries are the same; `rows`: whether it has any."""

    targets: tuple[tuple[str, str], ...]
    q: np.ndarray
    networks: tuple[str, ...]
    defined: np.ndarray
    rows: bool = True


@functools.partial(jax.jit, static_argnums=2)
def _draw(key: jax.Array, resamples: jax.Array, num_images: int) -> jax.Array:
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, resamples)
    return jax.vmap(lambda k: jax.random.randint(k, (num_images,), 0, num_images))(keys)


def resample_counts(
    key: jax.Array, num_images: int, num_resamples: int, clusters: np.ndarray | None = None
) -> np.ndarray:
    """Draws bootstrap samples of images with replacement, as counts.

    Resample b depends on the key and b only, so a longer run starts with the resamples of a shorter run.

    Args:
      key: typed PRNG key.
      num_images: N.
      num_resamples: B.
      clusters: int [N] from 0, of images that are drawn together, numbered without gaps; None treats each image as its
        own cluster.

    Returns:
      float32 [B, N]; rows sum to N where each image is its own cluster.

    References:
      [1] B. Efron (1979), Bootstrap methods: another look at the jackknife, Annals of Statistics 7.

    Examples:
      >>> alignment.resample_counts(jax.random.key(0), 5, 3).sum(axis=1).tolist()
      [5.0, 5.0, 5.0]
    """
    if clusters is not None:
        own = np.unique(clusters, return_inverse=True)[1]
        return resample_counts(key, int(own.max()) + 1, num_resamples)[:, own]
    key = jax.device_put(key, _host())
    # Some at a time, so that one program serves every number of resamples.
    numbers = np.arange(num_resamples + -num_resamples % _DRAWN).reshape(-1, _DRAWN)
    drawn = np.concatenate([np.asarray(_draw(key, some, num_images), np.int64) for some in numbers])[:num_resamples]
    drawn += num_images * np.arange(num_resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=num_resamples * num_images)
    return counts.reshape(num_resamples, num_images).astype(np.float32)


def bootstrap(
    key: jax.Array,
    scores: Mapping[str, Mapping[str, np.ndarray]],
    performance: Mapping[str, np.ndarray],
    *,
    num_resamples: int = 1000,
    clusters: np.ndarray | None = None,
    one_number: Collection[str] = (),
    block_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Mapping[str, Mapping[str, Resamples]]:
    """Computes the alignment numbers on the images and on resamples of them, the same for every pair.

    Runs on the host's cores, whatever the default device. A score table given for several networks as the same object
    is ranked once.

    Args:
      key: typed PRNG key of the resamples.
      scores: metric -> network -> [C, N], higher is better, NaN or infinite where undefined.
      performance: network -> [C, N], NaN where undefined; "all" is a name like any other.
      num_resamples: how many times the N images are drawn with replacement.
      clusters: int [N] of images that belong together (of one video, one patient) and are drawn together; None: each
        image alone.
      one_number: metrics that stand for one number per condition; *within* and *pooled* would not be theirs and are
        NaN.
      block_size: resamples computed together; by default what fits 128 MB per performance table. No result depends
        on it beyond rounding.
      progress: called with the work done so far and all of it.

    Returns:
      metric -> network -> Resamples. A number is NaN for a resample on which it is undefined. With fewer than 10 images
      no number has resamples, with fewer than 5 conditions *between* has none.

    Raises:
      InputError: when a metric names a network that has no performance.
      ValueError: when tables differ in shape or a count is not positive.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> found = alignment.bootstrap(jax.random.key(0), {"q": {"net": q}}, {"net": m}, num_resamples=50)
      >>> found["q"]["net"].pooled.shape  # the number itself, then its resamples
      (51,)
    """
    if num_resamples < 1 or (block_size is not None and block_size < 1):
        raise ValueError(f"num_resamples, block_size: expected at least 1, got {num_resamples}, {block_size}")
    jobs, performance = _make_jobs(scores, performance, one_number)
    if not jobs:
        return {metric: {} for metric in scores}
    num_images = jobs[0].q.shape[1]
    counts = np.concatenate(
        [np.ones((1, num_images), np.float32), resample_counts(key, num_images, num_resamples, clusters)]
    )
    levels = _all_levels(jobs, performance, num_images)
    block_size = min(block_size or _fitting_block(levels), len(counts))
    blocks = range(0, len(counts), block_size)
    out = {target: np.full((3, len(counts)), np.nan) for job in jobs for target in job.targets}
    done, work = 0, len(blocks) * len(jobs)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        ordered = list(pool.map(lambda job: _sort(job, levels, num_images), jobs))
        for start in blocks:
            shared = _Block(counts[start : start + block_size], levels, performance, pool)
            waiting = [(job, pool.submit(shared.run, job, rows)) for job, rows in zip(jobs, ordered, strict=True)]
            for job, future in waiting:
                for target, values in zip(job.targets, future.result(), strict=True):
                    out[target][:, start : start + block_size] = values
                done += 1
                if progress is not None:
                    progress(done, work)
    corrected = attenuation.correct(_keys.named(key, "halves of images"), scores, performance, clusters)
    normal = normal_draws(_keys.named(key, "draws"), _groups(corrected), num_resamples)
    found: dict[str, dict[str, Resamples]] = {}
    for metric, tables in scores.items():
        found[metric] = {}
        for name in tables:
            three, one = out[metric, name], corrected[metric][name]
            few = too_few(scores[metric][name], performance[name], clusters)
            three[[few.of(number) for number in Resamples._fields[:3]], 1:] = np.nan
            draws = np.full(len(counts), one.value)
            draws[1:] += normal @ one.influences if one.influences.size else np.nan
            found[metric][name] = Resamples(three[0], three[1], three[2], draws, one.reliability)
    return found


def normal_draws(key: jax.Array, num_groups: int, num_draws: int) -> np.ndarray:
    """Draws that turn the influences of a jackknife into resamples.

    Args:
      key: typed PRNG key.
      num_groups: G of the jackknife.
      num_draws: B.

    Returns:
      float64 [B, G] with identity covariance, up to the heavier tails of Student's law with G - 1 degrees of freedom,
      and with every draw's opposite among them.

    Examples:
      >>> alignment.normal_draws(jax.random.key(0), 4, 10).shape
      (10, 4)
    """
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).astype(np.uint32).tolist())
    half = rng.normal(size=(-(-num_draws // 2), num_groups))
    freedom = max(num_groups - 1, 1)
    half *= np.sqrt(freedom / rng.chisquare(freedom, len(half)))[:, None]
    return np.concatenate([half, -half])[:num_draws]


def _groups(corrected: Mapping[str, Mapping[str, attenuation.Corrected]]) -> int:
    return max((one.influences.size for by in corrected.values() for one in by.values()), default=0)


class TooFew(NamedTuple):
    """Whether a table has too few images for any interval, or too few conditions for those over condition means."""

    images: bool
    conditions: bool

    def of(self, number: str) -> bool:
        """Returns whether a number, named like *between* where it is over condition means, has no interval."""
        return self.images or (self.conditions and number.endswith("between"))


def too_few(q: np.ndarray, m: np.ndarray, clusters: np.ndarray | None = None) -> TooFew:
    """Counts the images, or clusters of them, and conditions of a score and a performance [C, N] defined in both."""
    images = np.isfinite(q).any(axis=0) & np.isfinite(m).any(axis=0)
    if clusters is not None:
        images = np.bincount(np.asarray(clusters), images) > 0
    conditions = np.isfinite(q).any(axis=1) & np.isfinite(m).any(axis=1)
    return TooFew(bool(images.sum() < LEAST_IMAGES), bool(conditions.sum() < LEAST_CONDITIONS))


def too_few_for_one_number(values: np.ndarray, m: np.ndarray) -> bool:
    """Returns whether *between* of scores [C] that are one number per condition has no interval, m [C, N].

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> alignment.too_few_for_one_number(q.mean(axis=1), m)
      False
    """
    return too_few(np.broadcast_to(np.asarray(values)[:, None], np.shape(m)), m).of("between")


def _host() -> Device:
    """The processor of this host; a long scan of short steps is slow elsewhere."""
    # None: all there are.
    platforms = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
    left_out = bool(platforms) and "cpu" not in platforms.split(",")
    return jax.local_devices(backend=None if left_out else "cpu")[0]


class _Block:
    """The resamples of one block with the level ranks that every metric needs."""

    def __init__(self, counts, levels, performance, pool):
        self.counts, self.weights = counts, np.ascontiguousarray(counts.T)
        ranks = pool.map(lambda level: _sweep.level_ranks(level, self.weights), levels.values())
        self.ranks = dict(zip(levels, ranks, strict=True))
        self.means = {
            name: correlation.RankedRows(correlation.condition_means(table, counts))
            for name, table in performance.items()
        }

    def run(self, job: _Job, rows: Sequence[_sweep.Rows]) -> list[np.ndarray]:
        """Returns the three numbers [3, B] of each target of the job."""
        means = correlation.RankedRows(correlation.condition_means(job.q, self.counts))
        between = [np.clip(means.spearman(self.means[name]), -1, 1) for name in job.networks]
        if not job.rows:
            return [np.stack([one, *np.full((2, len(one)), np.nan)]) for one in between]
        apart, joint = rows
        within = self._spearman(job, apart, "within", self.counts @ job.defined.T.astype(np.float32))
        pooled = self._spearman(job, joint, "pooled", (self.counts @ job.defined.sum(0, dtype=np.float32))[:, None])
        counted = np.isfinite(within).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            within = np.where(counted > 0, np.nansum(within, axis=1) / counted, np.nan)
        return [np.stack(three) for three in zip(between, within, pooled[:, 0], strict=True)]

    def _spearman(self, job: _Job, rows: _sweep.Rows, kind: str, total: np.ndarray) -> np.ndarray:
        """Correlations [P, G, B] of the job's score with its P performances in G groups."""
        ranks = [self.ranks[name] for name in _level_names(job, kind)]
        total = np.ascontiguousarray(total.T, np.float64)
        products, own = _sweep.rank_sums(rows, ranks, self.weights, total)
        return correlation.ratio(products, own[None], np.stack([one.squares for one in ranks]))


def _level_names(job: _Job, kind: str) -> list[tuple[str, bytes, str]]:
    mask = job.defined.tobytes()
    return [(kind, mask, name) for name in job.networks]


def _sort(job: _Job, levels: Mapping[tuple[str, bytes, str], _sweep.Levels], num_images: int) -> list[_sweep.Rows]:
    """The job's rows in order of score, inside the conditions and over all of them."""
    if not job.rows:
        return []
    apart, joint = ([levels[name] for name in _level_names(job, kind)] for kind in ("within", "pooled"))
    return [
        _sweep.sort_rows(job.q, job.defined, apart, num_images),
        _sweep.sort_rows(_flat(job.q), _flat(job.defined), joint, num_images),
    ]


def _flat(table: np.ndarray) -> np.ndarray:
    return table.reshape(1, -1)


def _make_jobs(scores, performance, one_number) -> tuple[list[_Job], dict[str, np.ndarray]]:
    """Gathers the pairs that share a score table and its defined entries."""
    performance = {name: np.asarray(table, np.float64) for name, table in performance.items()}
    gathered: dict[tuple[int, bytes, bool], _Job] = {}
    shapes = {table.shape for table in performance.values()}
    kept = []  # An identity stands for a table only while the table lives.
    for metric, tables in scores.items():
        for name, table in tables.items():
            kept.append(table)
            m = _checks.lookup(performance, name, "network")
            shapes.add(np.shape(table))
            q, m = correlation.check_tables(table, m, f"scores[{metric!r}][{name!r}], performance[{name!r}]")
            performance[name] = m
            defined = np.isfinite(q) & np.isfinite(m)
            rows = metric not in one_number
            place = (id(table), defined.tobytes(), rows)
            job = gathered.get(place, _Job((), q, (), defined, rows))
            names = job.networks
            gathered[place] = job._replace(targets=(*job.targets, (metric, name)), networks=(*names, name))
    if len(shapes) > 1:
        raise ValueError(f"scores, performance: expected one shape [C, N], got {sorted(shapes)}")
    return list(gathered.values()), performance


def _all_levels(jobs, performance, num_images) -> dict[tuple[str, bytes, str], _sweep.Levels]:
    levels = {}
    for job in jobs:
        mask = job.defined.tobytes()
        for name in job.networks if job.rows else ():
            if ("within", mask, name) not in levels:
                m = performance[name]
                levels["within", mask, name] = _sweep.find_levels(m, job.defined, num_images)
                levels["pooled", mask, name] = _sweep.find_levels(_flat(m), _flat(job.defined), num_images)
    return levels


def _fitting_block(levels: Mapping[tuple[str, bytes, str], _sweep.Levels]) -> int:
    largest = max((len(level.index) * level.num_levels for level in levels.values()), default=1)
    return int(np.clip(_TABLE_FLOATS // largest, 16, _MAX_BLOCK))
