"""Networks beside PyTorch (channels_last, inference mode), with the same weights and images, in one process.

From the repository root, with the bench extra:
    python -m benchmarks.backbones --json=results/backbones.json [--photos=FOLDER] [--one_core]

Both sides get the same batch. Ours spreads it over the devices, which are one for each core here (in other programs
JAX_NUM_CPU_DEVICES says how many; --devices=1 leaves the cores to XLA), and works through its share in blocks of eight
images, as the pipeline does, compiled with the options the pipeline uses; small networks are also timed one image at a
time. With --one_core both have one thread on one core and the time is the processor's, which other work on the machine
disturbs little.

Where JAX sees an accelerator, ResNet-50 and ViT-B/16 also run there at batch 256, in float32 and bfloat16, against the
matrix products the machine reaches.
"""

import functools
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from absl import app, flags

from benchmarks import harness
from causal_iqa import backbones, data
from causal_iqa.backbones import compilation
from tests import peers

_JSON = flags.DEFINE_string("json", None, "Where to write the rows.")
_NETWORKS = flags.DEFINE_list("networks", ["all"], "Rows to run, or all.")
_BATCH = flags.DEFINE_integer("batch", None, "Images per batch (default: those of each row).")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Counted runs of each side.")
_ONE_CORE = flags.DEFINE_bool("one_core", False, "Time the processor on one core instead of the wall clock on all.")
_DEVICES = flags.DEFINE_integer("devices", None, "CPU devices (default: as many as there are cores).", lower_bound=1)
_PHOTOS = flags.DEFINE_string("photos", None, "Folder of photographs to compare logits on (default: noise).")
_BLOCK = 8  # program.BLOCK_IMAGES of the pipeline.
# Multiply-adds of one image, in 10^9, of the papers.
_GIGA_MACS = {"resnet50": 4.09, "vit_b16": 17.6}


def _cifar_resnet20():
    """The author's network in PyTorch, written of its published description."""
    torch = peers.torch_peer("torch")
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self, before, after, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
            self.bn1, self.bn2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)
            self.extra = (after - before) // 2

        def forward(self, x):
            y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
            if self.extra:
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra, self.extra))
            return F.relu(x + y)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
            widths = (16, 16, 32, 64)
            for i in range(1, 4):
                sizes = [(widths[i - 1], widths[i], 1 if i == 1 else 2)] + [(widths[i], widths[i], 1)] * 2
                setattr(self, f"layer{i}", nn.Sequential(*(Block(*size) for size in sizes)))
            self.linear = nn.Linear(64, 10)

        def forward(self, x):
            x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
            return self.linear(x.mean((2, 3)))

    return Net()


def _torchvision(name: str):
    return getattr(peers.torch_peer("torchvision").models, name)()


# Row -> (architecture here, its PyTorch original, side, batches).
NETWORKS: dict[str, tuple[str, Callable[[], Any], int, tuple[int, ...]]] = {
    "resnet20": ("cifar_resnet20", _cifar_resnet20, 32, (1, 32, 256)),
    "mobilenet_v2": ("mobilenet_v2_torch", functools.partial(_torchvision, "mobilenet_v2"), 224, (1, 32)),
    "resnet50": ("resnet50", functools.partial(_torchvision, "resnet50"), 224, (32,)),
    "vit_b16": ("vit_b16", lambda: peers.torch_peer("timm").create_model("vit_base_patch16_224"), 224, (32,)),
}


def _same_weights(architecture: str, model: Any) -> backbones.Network:
    """Our network with the weights of a PyTorch model, through a file as a user would."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "net.safetensors"
        tensors = {name: np.ascontiguousarray(value.detach().numpy()) for name, value in model.state_dict().items()}
        safetensors.numpy.save_file(tensors, path)
        return backbones.load(architecture, path)


def _images(batch: int, side: int) -> np.ndarray:
    """float32 [batch, side, side, 3] in [0, 1]."""
    if _PHOTOS.value is None:
        return np.random.default_rng(0).random((batch, side, side, 3), np.float32)
    source = data.open_images(_PHOTOS.value)
    photos = [data.fit(source[int(i)].image, side) for i in np.linspace(0, len(source) - 1, batch)]
    return np.stack(photos).astype(np.float32) / 255.0


def _ours(network: backbones.Network, images: np.ndarray) -> tuple[Callable[..., jax.Array], Any, jax.Array]:
    """(compiled function to logits, its parameters, its images), spread over the devices as in the pipeline."""
    devices = jax.local_devices()
    devices = devices if len(images) % len(devices) == 0 else devices[:1]
    mesh, spec = jax.sharding.Mesh(np.asarray(devices), ("images",)), jax.sharding.PartitionSpec
    block = min(_BLOCK, len(images) // len(devices))
    mapped = jax.shard_map(
        lambda params, x: jax.lax.map(lambda image: network.apply(params, image)[0], x, batch_size=block),
        mesh=mesh,
        in_specs=(spec(), spec("images")),
        out_specs=spec("images"),
        check_vma=False,
    )
    apply = jax.jit(mapped, compiler_options=backbones.compiler_options(devices[0].platform, num_devices=len(devices)))
    params = jax.device_put(network.params, jax.sharding.NamedSharding(mesh, spec()))
    return apply, params, jax.device_put(images, jax.sharding.NamedSharding(mesh, spec("images")))


def _row(name: str, batch: int, rounds: int) -> harness.Row:
    torch = peers.torch_peer("torch")
    architecture, make, side, _ = NETWORKS[name]
    torch.manual_seed(0)
    model = make().eval()
    network = _same_weights(architecture, model)
    images = _images(batch, side)
    mean, std = (np.asarray(getattr(network.preprocessing, field), np.float32) for field in ("mean", "std"))
    # Normalisation is inside our program and outside PyTorch's.
    pixels = torch.tensor(((images - mean) / std).transpose(0, 3, 1, 2)).contiguous(memory_format=torch.channels_last)
    model = model.to(memory_format=torch.channels_last)
    apply, params, on_device = _ours(network, images)

    def peer():
        with torch.inference_mode():
            return model(pixels)

    expected = peer().numpy()
    worst = np.abs(np.asarray(apply(params, on_device)) - expected).max() / np.abs(expected).max()
    print(f"{name}, {batch} images: logits within {worst:.1e} of the largest", flush=True)
    if not worst < 1e-4:
        raise ValueError(f"{name}: logits differ from PyTorch's by {worst:.1e} of the largest")
    compare = _compare_on_one_core if _ONE_CORE.value else harness.compare
    row = compare(
        name,
        f"{batch}x{side}",
        lambda: apply(params, on_device),
        peer,
        peer_name=f"torch {torch.__version__}",
        images=batch,
        rounds=rounds,
    )
    print(f"{name}, {batch} images: {1e3 / row.ours_ms:.1f} images/s, {row.peer} {1e3 / row.peer_ms:.1f}", flush=True)
    return row


def _compare_on_one_core(
    name: str, size: str, ours: Callable[[], Any], peer: Callable[[], Any], *, peer_name: str, images: int, rounds: int
) -> harness.Row:
    """As harness.compare, in processor time."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for side, run in zip(times, (ours, peer), strict=True):
            start = time.process_time()
            jax.block_until_ready(run())
            side.append(1e3 * (time.process_time() - start) / images)
    medians = (statistics.median(side[1:]) for side in times)
    return harness.Row(name, size, next(medians), peer_name, next(medians))


def _seconds(run: Callable[[], Any], rounds: int = 10) -> float:
    jax.block_until_ready(run())
    start = time.perf_counter()
    for _ in range(rounds):
        out = run()
    jax.block_until_ready(out)
    return (time.perf_counter() - start) / rounds


def _accelerator() -> None:
    """Images per second and share of the matrix peak, in float32 and bfloat16."""
    for name, macs in _GIGA_MACS.items():
        architecture, make, side, _ = NETWORKS[name]
        network = _same_weights(architecture, make().eval())
        for dtype in (jnp.float32, jnp.bfloat16):
            matrix = jnp.ones((8192, 8192), dtype)
            peak = 2 * 8192**3 / _seconds(lambda matrix=matrix: matrix @ matrix)
            cast = jax.tree.map(lambda x, dtype=dtype: jnp.asarray(x, dtype), network.params)
            images = jnp.ones((256, side, side, 3), dtype)
            precision = "default" if dtype == jnp.bfloat16 else None
            with jax.default_matmul_precision(precision):
                apply = jax.jit(lambda p, x, network=network: jax.vmap(network.apply, (None, 0))(p, x)[0])
                taken = _seconds(lambda apply=apply, cast=cast, images=images: apply(cast, images))
            rate = 256 / taken
            share = 2e9 * macs * rate / peak
            print(f"{name:<12} {jnp.dtype(dtype).name:<9} {rate:10.0f} images/s  {share:.2f} of the matrix peak")


def main(_: list[str]) -> None:
    """Rows -> table and JSON."""
    if _ONE_CORE.value:
        # Before JAX starts its threads.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        peers.torch_peer("torch").set_num_threads(1)
    jax.config.update("jax_num_cpu_devices", _DEVICES.value or compilation.cores())
    names = list(NETWORKS) if _NETWORKS.value == ["all"] else _NETWORKS.value
    sizes = [(name, batch) for name in names for batch in ((_BATCH.value,) if _BATCH.value else NETWORKS[name][3])]
    harness.write([_row(name, batch, _ROUNDS.value) for name, batch in sizes], _JSON.value)
    if jax.local_devices()[0].platform != "cpu":
        _accelerator()


if __name__ == "__main__":
    app.run(main)
