"""A user's script, checked apart from the package: what is installed, editable or not, says its types."""

# pyright: basic

from typing import assert_type

import jax
import numpy as np

import causal_iqa
from causal_iqa import alignment, data, degradations, metrics
from causal_iqa.estimates import Estimate

image = jax.numpy.zeros((64, 64, 3))
noisy = degradations.gaussian_noise(jax.random.key(0), image, jax.numpy.float32(3))
assert_type(noisy, jax.Array)
assert_type(metrics.ssim(image, noisy), jax.Array)
assert_type(causal_iqa.metrics.ssim(image, noisy), jax.Array)
assert_type(data.open_source("scenes"), data.Source)
assert_type(alignment.decompose(np.zeros((2, 3)), np.zeros((2, 3))).pooled, float)
assert_type(Estimate(0.9, 0.8, 1.0).low, float)
assert_type(str(causal_iqa.score([np.zeros((32, 32, 3), np.uint8)])), str)
assert_type(causal_iqa.score("photos").quality, np.ndarray)
