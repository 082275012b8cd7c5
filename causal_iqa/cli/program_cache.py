"""Compiled programs kept from one command to the next, in a folder of the user.

JAX and `_kept_programs` write and read the entries; here is where they lie, how large the folder may grow, and that a
process which was killed while it wrote leaves nothing behind that others stumble over. Entries are machine code that
runs as the user: the folder is as private as the programs that the user runs.
"""

import contextlib
import fcntl
import os
import pathlib
import sys
import time
import warnings
import zlib
from collections.abc import Iterator, Mapping

import jax

from causal_iqa import _kept_programs
from causal_iqa._checks import InputError

OFF = "off"
MOST_BYTES = 2_000_000_000
# Of the flag --compilation_cache.
WORDS = (
    f"Folder that keeps compiled programs for the next command, or {OFF} (default: JAX_COMPILATION_CACHE_DIR, or a "
    f"folder of the user's cache directory of at most {MOST_BYTES / 1e9:g} GB)."
)
_SUFFIX = "-cache"
# Seconds after which nobody writes a file any more.
_UNFINISHED = 3600.0
_CHECKED, _LOCK = ".checked", ".lock"
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_ZSTANDARD = b"\x28\xb5\x2f\xfd"


def user_cache_dir(environment: Mapping[str, str] = os.environ, system: str = sys.platform) -> pathlib.Path:
    """Returns the user's folder for what this library may keep and may lose.

    Args:
      environment: variables of the process.
      system: like `sys.platform`.

    Returns:
      $XDG_CACHE_HOME/causal_iqa, or ~/.cache/causal_iqa without it; ~/Library/Caches/causal_iqa on macOS.
    """
    home = pathlib.Path("~").expanduser()
    if system == "darwin":
        return home / "Library" / "Caches" / "causal_iqa"
    given = pathlib.Path(environment.get("XDG_CACHE_HOME", ""))
    # A relative path there is to be ignored, by the specification.
    return (given if given.is_absolute() else home / ".cache") / "causal_iqa"


def default_folder() -> pathlib.Path:
    """Returns where compiled programs lie unless the user says otherwise: a folder for each kind of processor."""
    return user_cache_dir() / "compilations" / _kept_programs.processor()


def keep(given: str | None, *, most_bytes: int = MOST_BYTES) -> pathlib.Path | None:
    """Has compiled programs kept from here on. To be called before the first one is compiled.

    Args:
      given: a folder, OFF, or None: the folder that JAX_COMPILATION_CACHE_DIR names, else `default_folder`.
      most_bytes: older programs are removed from a folder that is larger; the folder that JAX_COMPILATION_CACHE_DIR
        names is left unchanged.

    Returns:
      The folder; None where nothing is kept.

    Raises:
      InputError: when the folder given cannot be made or written.
    """
    folder = _keep_of_jax(given, most_bytes)
    _kept_programs.keep_in(folder)
    return folder


def _keep_of_jax(given: str | None, most_bytes: int) -> pathlib.Path | None:
    if given == OFF:
        jax.config.update("jax_enable_compilation_cache", False)
        return None
    if given is None and os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return pathlib.Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    folder = default_folder() if given is None else pathlib.Path(given).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        writable = os.access(folder, os.W_OK)
        reason = "no permission to write"
    except OSError as error:
        writable, reason = False, error.strerror or str(error)
    if not writable:
        if given is None:  # The command works without, and nobody asked for the folder.
            return None
        raise InputError(f"compilation_cache: {folder}: {reason}")
    tidy(folder, most_bytes)
    # Another process may be writing the entry that this one reads: then it is compiled again, without a warning.
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache entry")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # Of small programs, too: one that is read takes half as long as one that is compiled.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # XLA's own caches beside would put the folder's path into every key, and a folder that is moved would count as
    # empty.
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
    return folder


def tidy(folder: pathlib.Path, most_bytes: int) -> None:
    """Removes damaged entries, and those used longest ago while the folder is too large.

    JAX would never replace an entry that a killed process left incomplete, because it reads every existing entry. Any
    number of processes may read and write meanwhile; one process at a time tidies, and the others do not wait for it.

    Args:
      folder: folder of the entries.
      most_bytes: that may stay.
    """
    with _alone(folder) as alone:
        if not alone:
            return
        now, stamp = time.time(), folder / _CHECKED
        checked = stamp.stat().st_mtime if stamp.exists() else 0.0
        entries = []
        for path in folder.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(OSError):
                about = path.stat()
                # Files of the last moments before a check may have been unfinished then.
                if about.st_mtime > checked - 60 and not _is_whole(path):
                    path.unlink()
                    continue
                entries.append((max(about.st_atime, about.st_mtime), about.st_size, path))
        for path in folder.glob(".*.tmp"):  # Of a process that was killed while it wrote.
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < now - _UNFINISHED:
                    path.unlink()
        size = sum(entry[1] for entry in entries)
        for _, bytes_of_entry, path in sorted(entries):
            if size <= most_bytes:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            size -= bytes_of_entry
        with contextlib.suppress(OSError):
            stamp.touch()
            os.utime(stamp, (now, now))


def _is_whole(path: pathlib.Path) -> bool:
    """Whether an entry can be unpacked; True where the library that packed it is not available."""
    content = path.read_bytes()
    if content[:2] in _ZLIB:
        unpack = zlib.decompressobj()
        try:
            unpack.decompress(content)
        except zlib.error:
            return False
        return unpack.eof
    if content[:4] == _ZSTANDARD:
        try:
            import zstandard  # pyright: ignore[reportMissingImports]
        except ImportError:
            return True
        try:
            return bool(zstandard.ZstdDecompressor().decompress(content))
        except zstandard.ZstdError:
            return False
    return False


@contextlib.contextmanager
def _alone(folder: pathlib.Path) -> Iterator[bool]:
    """Yields whether this process is the only one here, by a lock that ends with it."""
    try:
        file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
    finally:
        os.close(file)
