"""Inner products of a centred matrix with permuted copies of another, many at the cost of a single one.

For a cyclic shift c of the samples, the inner products <A, B permuted by c^k> of all k are one circular correlation
along the diagonals of A and B: n permutations for O(n^2 log n) operations instead of O(n^3), exactly.

Why a test may use them: relabel the samples by a uniformly random order s. The shifts conjugated by s are a subgroup G
of the permutations, and G h for uniformly random h are cosets. Under exchangeability the cosets, among them the coset
of the observed data, are exchangeable, and the data are at a uniformly random place of their coset; so the rank of the
observed statistic among those of all cosets, or of a random part of them that holds it, is uniform, as among as many
independent permutations. Each permutation on its own is uniformly distributed over all, but for the group of the data
itself.
"""

import jax
import jax.numpy as jnp


def cyclic_diagonals(matrix: jax.Array) -> jax.Array:
    """Diagonals M[i, (i + d) mod n] of a symmetric matrix, which the first half determine.

    Args:
      matrix: symmetric [n, n].

    Returns:
      [n, n // 2 + 1], row i and column d.
    """
    n = matrix.shape[0]
    # Rows of 2 n entries read as rows of 2 n + 1 start one later each time.
    flat = jnp.concatenate([matrix, matrix], axis=1).reshape(-1)
    flat = jnp.concatenate([flat, jnp.zeros(n, matrix.dtype)])
    return flat.reshape(n, 2 * n + 1)[:, : n // 2 + 1]


def _spectrum(matrix: jax.Array, order: jax.Array) -> jax.Array:
    return jnp.fft.rfft(cyclic_diagonals(matrix[order][:, order]).T, axis=1)


def _correlate(a: jax.Array, b: jax.Array, n: int) -> jax.Array:
    """Inner products at each shift from the spectra of the diagonals."""
    half = n // 2 + 1
    # All but the main diagonal, and the middle one of an even matrix, stand for two.
    weights = jnp.full(half, 2.0, a.real.dtype).at[0].set(1.0)
    if n % 2 == 0:
        weights = weights.at[-1].set(1.0)
    return jnp.fft.irfft(jnp.sum(jnp.conj(a) * b * weights[:, None], axis=0), n=n)


def permuted_products(
    key: jax.Array, A: jax.Array, B: jax.Array, *, num_permutations: int
) -> tuple[jax.Array, jax.Array]:
    """Inner products sum_ij A_u[i, j] B_v[p(i), p(j)] of the samples in place and under random permutations p.

    Memory is 4 n^2 numbers for each matrix, and time O(n^2 log n) for each matrix and n permutations.

    Args:
      key: random key for the permutations.
      A: symmetric matrices [u, n, n], n at least 2.
      B: symmetric matrices [v, n, n], permuted together.
      num_permutations: static int, at least 1.

    Returns: The products in place [u, v], and of the permutations [num_permutations, u, v]. Both are computed in the
      same way, so equal ones differ by the rounding of a Fourier transform, some 4 units of |A| |B| / n at most.

    References:
      [1] Hemerik, Goeman, "Exact testing with random permutations", TEST 2018, theorems 1 and 2: subgroups, and random
          parts of them.
    """
    n = A.shape[-1]
    cosets = -(-(num_permutations + 1) // n)
    key_order, key_choice = jax.random.split(key)
    orders = jax.vmap(lambda key: jax.random.permutation(key, n))(jax.random.split(key_order, cosets))
    fixed = jax.lax.map(lambda matrix: _spectrum(matrix, orders[0]), A)

    def shifts(order: jax.Array) -> jax.Array:
        def against(matrix: jax.Array) -> jax.Array:
            moved = _spectrum(matrix, order)
            return jax.lax.map(lambda spectrum: _correlate(spectrum, moved, n), fixed)

        return jax.lax.map(against, B)

    products = jax.lax.map(shifts, orders)  # [coset, v, u, shift]
    products = jnp.transpose(products, (0, 3, 2, 1)).reshape(cosets * n, A.shape[0], B.shape[0])
    rest = products[1:]
    if num_permutations < rest.shape[0]:
        rest = rest[jax.random.permutation(key_choice, rest.shape[0])[:num_permutations]]
    return products[0], rest
