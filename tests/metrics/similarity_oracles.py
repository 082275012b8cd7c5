"""The similarity metrics once more in float64 numpy, one formula after the other as their authors print them."""

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.signal

PREWITT = np.array([[1, 0, -1], [1, 0, -1], [1, 0, -1]]) / 3
SCHARR = np.array([[3, 0, -3], [10, 0, -10], [3, 0, -3]]) / 16
YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
LMN = np.array([[0.06, 0.63, 0.27], [0.30, 0.04, -0.35], [0.34, -0.60, 0.17]])


def conv_same(x, kernel):
    """MATLAB's conv2(x, kernel, 'same')."""
    full = scipy.signal.convolve2d(x, kernel)
    top, left = (side // 2 for side in kernel.shape)
    return full[top : top + x.shape[0], left : left + x.shape[1]]


def shrink(x, factor):
    return conv_same(x, np.ones((factor, factor)) / factor**2)[::factor, ::factor]


def to_viewing_size(x):
    return shrink(x, max(1, int(min(x.shape) / 256 + 0.5)))


def gradient(x, kernel):
    return np.hypot(conv_same(x, kernel), conv_same(x, kernel.T))


def similarity(a, b, c):
    return (2 * a * b + c) / (a**2 + b**2 + c)


def planes(image, matrix):
    return np.moveaxis(image.astype(np.float64) @ matrix.T, -1, 0)


def _grid(size):
    if size % 2:
        return np.arange(-(size - 1) // 2, (size - 1) // 2 + 1) / (size - 1)
    return np.arange(-size // 2, size // 2) / size


def phase_congruency(x):
    """Kovesi's measure as the FSIM authors print it, noise sums and all."""
    height, width = x.shape
    u, v = np.meshgrid(_grid(width), _grid(height))
    radius, theta = np.fft.ifftshift(np.hypot(u, v)), np.fft.ifftshift(np.arctan2(-v, u))
    low_pass = 1 / (1 + (radius / 0.45) ** 30)
    radius[0, 0] = 1
    rings = []
    for s in range(4):
        ring = np.exp(-(np.log(radius * 6 * 2**s) ** 2) / (2 * np.log(0.55) ** 2)) * low_pass
        ring[0, 0] = 0
        rings.append(ring)
    spectrum = np.fft.fft2(x)
    energy_all, amplitude_all = np.zeros(x.shape), np.zeros(x.shape)
    for o in range(4):
        angle = o * np.pi / 4
        sine = np.sin(theta) * np.cos(angle) - np.cos(theta) * np.sin(angle)
        cosine = np.cos(theta) * np.cos(angle) + np.sin(theta) * np.sin(angle)
        spread = np.exp(-(np.arctan2(sine, cosine) ** 2) / (2 * (np.pi / 4 / 1.2) ** 2))
        filters = [ring * spread for ring in rings]
        spatial = [np.fft.ifft2(f).real * np.sqrt(x.size) for f in filters]
        responses = [np.fft.ifft2(spectrum * f) for f in filters]
        total = sum(responses)
        length = np.abs(total) + 1e-4
        mean_e, mean_o = total.real / length, total.imag / length
        energy = sum(r.real * mean_e + r.imag * mean_o - np.abs(r.real * mean_o - r.imag * mean_e) for r in responses)
        power = -np.median(np.abs(responses[0]) ** 2) / np.log(0.5) / np.sum(filters[0] ** 2)
        squares = sum(np.sum(s**2) for s in spatial)
        products = sum(np.sum(spatial[i] * spatial[j]) for i in range(4) for j in range(i + 1, 4))
        tau = np.sqrt((2 * power * squares + 4 * power * products) / 2)
        threshold = (tau * np.sqrt(np.pi / 2) + 2 * np.sqrt((2 - np.pi / 2) * tau**2)) / 1.7
        energy_all += np.maximum(energy - threshold, 0)
        amplitude_all += sum(np.abs(r) for r in responses)
    return energy_all / amplitude_all


def fsim(reference, image):
    """Returns FSIM and FSIMc."""
    (y1, i1, q1), (y2, i2, q2) = ([to_viewing_size(p) for p in planes(x, YIQ)] for x in (reference, image))
    p1, p2 = phase_congruency(y1), phase_congruency(y2)
    weight = np.maximum(p1, p2)
    score = similarity(p1, p2, 0.85) * similarity(gradient(y1, SCHARR), gradient(y2, SCHARR), 160)
    chroma = np.real((similarity(i1, i2, 200) * similarity(q1, q2, 200)).astype(complex) ** 0.03)
    return np.sum(score * weight) / np.sum(weight), np.sum(score * chroma * weight) / np.sum(weight)


def gmsd(reference, image):
    grey = np.linalg.inv([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.106, 1.703]])[0]
    a, b = (gradient(shrink(np.floor(x @ grey + 0.5), 2), PREWITT) for x in (reference, image))
    return np.std(similarity(a, b, 170), ddof=1)


def ms_gmsd(reference, image):
    x, y = (planes(v, YIQ)[0] for v in (reference, image))
    total = 0
    for scale, weight in enumerate((0.096, 0.596, 0.289, 0.019)):
        if scale:
            x, y = shrink(x, 2), shrink(y, 2)
        a, b = gradient(x, PREWITT), gradient(y, PREWITT)
        total += weight * np.var((1.5 * a * b + 170) / (a**2 + b**2 - 0.5 * a * b + 170))
    return np.sqrt(total)


def mdsi(reference, image):
    matrix = np.array([[0.2989, 0.5870, 0.1140], *LMN[1:]])
    (l1, h1, m1), (l2, h2, m2) = ([to_viewing_size(p) for p in planes(x, matrix)] for x in (reference, image))
    a, b, f = (gradient(x, PREWITT) for x in (l1, l2, (l1 + l2) / 2))
    structure = similarity(a, b, 140) + similarity(b, f, 55) - similarity(a, f, 55)
    colour = (2 * (h1 * h2 + m1 * m2) + 550) / (h1**2 + h2**2 + m1**2 + m2**2 + 550)
    combined = (0.6 * structure + 0.4 * colour).astype(complex) ** 0.25
    return np.mean(np.abs(combined - combined.mean())) ** 0.25


def _kernel(x, method):
    x = abs(x)
    if method == "bilinear":
        return max(0.0, 1 - x)
    return 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0


def resize_axis(x, target, scale, method):
    """MATLAB's imresize along the first axis, sample by sample."""
    size, widen = x.shape[0], min(scale, 1)
    reach = {"bicubic": 2, "bilinear": 1}[method] / widen
    rows = []
    for k in range(target):
        centre = (k + 0.5) / scale - 0.5
        positions = range(int(np.floor(centre - reach)), int(np.ceil(centre + reach)) + 1)
        weights = np.array([_kernel(widen * (centre - p), method) for p in positions])
        mirrored = [p % (2 * size) if p % (2 * size) < size else 2 * size - 1 - p % (2 * size) for p in positions]
        rows.append(np.tensordot(weights / weights.sum(), x[mirrored], axes=1))
    return np.stack(rows)


def resize(x, shape, method, scale=None):
    rows = resize_axis(x, shape[0], scale or shape[0] / x.shape[0], method)
    return resize_axis(rows.T, shape[1], scale or shape[1] / x.shape[1], method).T


def _unit(x):
    return (x - x.min()) / (x.max() - x.min())


def _lab(image):
    s = image / 255
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    matrix = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = linear @ np.array(matrix).T / [0.9642, 1.0, 0.8251]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), (903.3 * xyz + 16) / 116)
    return 116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])


def _lab_of_published(image):
    """As IQA-optimization's VSI.py: X and Z are multiplied by the white of D65, where they should be divided."""
    s = image / 255
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    matrix = [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
    xyz = linear @ np.array(matrix).T * [0.950456, 1.0, 1.088754]
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return 116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])


def sdsp(image, side=None, published=False):
    x = image.astype(np.float64)
    if side:
        x = np.stack([resize(x[..., c], (side, side), "bilinear") for c in range(3)], axis=-1)
    height, width = x.shape[:2]
    lab = _lab_of_published(x) if published else _lab(x)
    u, v = np.meshgrid(_grid(width), _grid(height))
    inside = u**2 + v**2 <= 0.25
    radius = np.fft.ifftshift(np.hypot(u, v) * inside)
    radius[0, 0] = 1
    with np.errstate(divide="ignore"):
        ring = np.exp(-(np.log(radius / 0.021) ** 2) / (2 * 1.34**2))
    ring[0, 0] = 0
    frequency = np.sqrt(sum(np.fft.ifft2(np.fft.fft2(p) * ring).real ** 2 for p in lab))
    first = 0 if published else 1
    row, column = np.mgrid[first : height + first, first : width + first]
    location = np.exp(-((row - height / 2) ** 2 + (column - width / 2) ** 2) / 145**2)
    colour = 1 - np.exp(-(_unit(lab[1]) ** 2 + _unit(lab[2]) ** 2) / 0.001**2)
    product = frequency * location * colour
    return _unit(resize(product, image.shape[:2], "bilinear") if side else product)


def vsi(reference, image, side=None, published=False):
    s1, s2 = (to_viewing_size(sdsp(x, side, published)) for x in (reference, image))
    (l1, m1, n1), (l2, m2, n2) = ([to_viewing_size(p) for p in planes(x, LMN)] for x in (reference, image))
    score = similarity(s1, s2, 1.27) * similarity(gradient(l1, SCHARR), gradient(l2, SCHARR), 386) ** 0.4
    chroma = similarity(m1, m2, 130) * similarity(n1, n2, 130)
    chroma = np.abs(chroma) ** 0.02 if published else np.real(chroma.astype(complex) ** 0.02)
    weight = np.maximum(s1, s2)
    return np.sum(score * chroma * weight) / np.sum(weight)


def spectral_residual(x):
    small = resize(x, [int(np.ceil(side / 4)) for side in x.shape], "bicubic", 0.25)
    spectrum = np.fft.fft2(small)
    amplitude, phase = np.log(np.abs(spectrum)), np.angle(spectrum)
    residual = amplitude - scipy.ndimage.uniform_filter(amplitude, 3, mode="nearest")
    saliency = np.abs(np.fft.ifft2(np.exp(residual + 1j * phase))) ** 2
    offset = np.arange(10) - 4.5
    window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 3.8**2))
    padded = np.pad(saliency, ((4, 5), (4, 5)))
    smooth = scipy.signal.correlate2d(padded, window / window.sum(), mode="valid")
    return resize(_unit(smooth), x.shape, "bicubic")


def sr_sim(reference, image):
    x, y = (to_viewing_size(planes(v, YIQ)[0]) for v in (reference, image))
    s1, s2 = spectral_residual(x), spectral_residual(y)
    score = similarity(s1, s2, 0.4) * similarity(gradient(x, SCHARR), gradient(y, SCHARR), 225) ** 0.5
    weight = np.maximum(s1, s2)
    return np.sum(score * weight) / np.sum(weight)


def haarpsi(reference, image):
    (y1, i1, q1), (y2, i2, q2) = ([shrink(p, 2) for p in planes(x, YIQ)] for x in (reference, image))
    terms, weights = [], []
    for turn in (lambda k: k, np.transpose):
        responses = []
        for scale in (1, 2, 3):
            kernel = np.ones((2**scale, 2**scale)) / 2**scale
            kernel[: 2**scale // 2] *= -1
            responses.append([np.abs(conv_same(y, turn(kernel))) for y in (y1, y2)])
        terms.append(sum(similarity(a, b, 30) for a, b in responses[:2]) / 2)
        weights.append(np.maximum(*responses[2]))
    box = np.ones((2, 2)) / 4
    chroma = [similarity(*(np.abs(conv_same(p, box)) for p in pair), 30) for pair in ((i1, i2), (q1, q2))]
    terms.append(sum(chroma) / 2)
    weights.append((weights[0] + weights[1]) / 2)
    mean = sum(np.sum(w / (1 + np.exp(-4.2 * t))) for t, w in zip(terms, weights, strict=True)) / np.sum(weights)
    return (np.log(mean / (1 - mean)) / 4.2) ** 2


def dss(reference, image):
    parts = []
    for x in (reference, image):
        y = planes(x, YIQ)[0]
        height, width = (side // 8 for side in y.shape)
        blocks = y[: 8 * height, : 8 * width].reshape(height, 8, width, 8)
        parts.append(scipy.fft.dctn(blocks, axes=(1, 3), norm="ortho"))
    offset = np.arange(3) - 1
    window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))

    def local(x):
        return scipy.ndimage.correlate(x, window / window.sum(), mode="constant")

    total = weights = 0
    for m in range(8):
        for n in range(8):
            weight = np.exp(-((m + 0.5) ** 2 + (n + 0.5) ** 2) / (2 * 1.55**2))
            if weight < 0.01:
                continue
            a, b = (part[:, m, :, n] for part in parts)
            c = 300 if m or n else 1000
            va, vb = (np.maximum(local(v * v) - local(v) ** 2, 0) for v in (a, b))
            worst = int(0.05 * a.size + 0.5)
            score = np.sort(((2 * np.sqrt(va * vb) + c) / (va + vb + c)).ravel())[:worst].mean()
            if m == n == 0:
                covariance = local(a * b) - local(a) * local(b)
                score *= np.sort(((covariance + c) / (np.sqrt(va * vb) + c)).ravel())[:worst].mean()
            total, weights = total + weight * score, weights + weight
    return total / weights
