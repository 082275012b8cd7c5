"""Weight files from the Hugging Face hub (extra `hub`): cached, at a pinned revision."""

import contextlib
import importlib
import pathlib
import re
import types

from causal_iqa import _checks
from causal_iqa.backbones.weights import array_files

_ADDRESS = re.compile(r"hf://(?P<repository>[\w.-]+/[\w.-]+)@(?P<revision>[\w.-]+)/(?P<file>[\w./-]+)")


def is_address(text: str) -> bool:
    """Whether `text` names a file on the hub."""
    return text.startswith("hf://")


def fetch(address: str) -> pathlib.Path:
    """Finds a file of the hub in the local cache, or downloads it into the cache.

    Args:
      address: "hf://OWNER/REPOSITORY@REVISION/FILE"; the revision, best a commit, is part of the address, so the file
        does not change under a study. With an index of shards (.safetensors.index.json) the shards are fetched too, and
        with any weight file the repository's config.json where it has one, because it describes the file.

    Returns:
      The local path. The file's sha256 goes into every record of a network loaded from it.

    Raises:
      InputError: for another form, without the extra, or when the file is neither cached nor can be downloaded; the
        message names the address and the argument that replaces it.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise _checks.InputError(
            f"{address}: expected hf://OWNER/REPOSITORY@REVISION/FILE; the revision pins the weights"
        )
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise _checks.InputError(
            f"{address}: needs the package huggingface_hub; pip install 'causal-iqa[hub]'"
        ) from error
    repository, revision, file = found["repository"], found["revision"], found["file"]
    path = _fetch_one(hub, address, repository, revision, file)
    folder = file.rpartition("/")[0]
    if file.endswith(array_files.INDEX_SUFFIX):
        for shard in sorted(set(array_files.shards_of(path).values())):
            _fetch_one(hub, address, repository, revision, f"{folder}/{shard}".lstrip("/"))
    with contextlib.suppress(_checks.InputError):
        _fetch_one(hub, address, repository, revision, f"{folder}/config.json".lstrip("/"))
    return path


def _fetch_one(hub: types.ModuleType, address: str, repository: str, revision: str, file: str) -> pathlib.Path:
    place = {"repo_id": repository, "filename": file, "revision": revision}
    try:
        return pathlib.Path(hub.hf_hub_download(**place, local_files_only=True))
    except (OSError, ValueError):
        pass  # Not in the cache; errors of the hub's library derive from these.
    try:
        return pathlib.Path(hub.hf_hub_download(**place))
    except (OSError, ValueError) as error:
        source = f"https://huggingface.co/{repository}/resolve/{revision}/{file}"
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise _checks.InputError(
            f"{address}: not in the local cache and not to be had ({reason}); download {source} elsewhere and give the "
            "path of the file in place of this address"
        ) from error
