"""Text to the tokens a text tower reads, by the `tokenizers` and `sentencepiece` libraries (extra `text`).

References:
  [1] Radford et al. 2021, section 2.4: lower-cased byte pair encoding of 49152 tokens, 77 to a prompt.
  [2] Zhai et al. 2023 (SigLIP): SentencePiece of 32000 tokens, 64 to a prompt, text without punctuation.
"""

import dataclasses
import gzip
import html
import importlib
import importlib.util
import io
import json
import os
import pathlib
import re
import string
import types
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from causal_iqa import _checks
from causal_iqa._arrays import pair
from causal_iqa.backbones.weights import budgets

_START, _END = "<|startoftext|>", "<|endoftext|>"
_WORD_END = "</w>"
_VOCABULARY_FILE = "bpe_simple_vocab_16e6.txt.gz"
# The published vocabulary is 256 bytes, the same at the end of a word, these merges and two marks.
_NUM_MERGES = 49152 - 256 - 2
_CLIP_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@dataclasses.dataclass(frozen=True)
class Tokenizer:
    """Text to tokens.

    Attributes:
      kind: "clip" or "siglip".
      encode: text -> its tokens with start and end marks, of any number.
      end: the token that ends a prompt and survives its shortening.
      padding: the token after the end.
    """

    kind: str
    encode: Callable[[str], list[int]]
    end: int
    padding: int

    def __call__(self, texts: Sequence[str], context: int) -> np.ndarray:
        """Makes the prompts a text tower reads.

        Args:
          texts: n prompts.
          context: tokens of a prompt.

        Returns:
          int32 [n, context], padded; a prompt that is too long is cut and ends with the end mark.
        """
        tokens = np.full((len(texts), context), self.padding, np.int32)
        for row, text in zip(tokens, texts, strict=True):
            found = self.encode(text)
            if len(found) > context:
                found = [*found[: context - 1], self.end]
            row[: len(found)] = found
        return tokens


def _require(module: str) -> types.ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise _checks.InputError(f"tokenizer: needs the package {module}; pip install 'causal-iqa[text]'") from error


def clip_tokenizer(vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> Tokenizer:
    """Builds CLIP's tokenizer of its vocabulary.

    Args:
      vocabulary: token -> number, with the start and end marks.
      merges: pairs of tokens that become one, in order.

    Returns:
      The tokenizer; prompts are padded with 0 as in the authors' code.

    Raises:
      InputError: when the extra is not installed or a mark is missing.
    """
    lib = _require("tokenizers")
    missing = [mark for mark in (_START, _END) if mark not in vocabulary]
    if missing:
        raise _checks.InputError(f"tokenizer: the vocabulary has no {' and no '.join(missing)}")
    model = lib.models.BPE(
        vocab=dict(vocabulary),
        merges=list(merges),
        continuing_subword_prefix="",
        end_of_word_suffix=_WORD_END,
        unk_token=_END,
    )
    pipeline = lib.Tokenizer(model)
    spaces = lib.normalizers.Replace(lib.Regex(r"\s+"), " ")
    pipeline.normalizer = lib.normalizers.Sequence([lib.normalizers.NFC(), spaces, lib.normalizers.Lowercase()])
    words = lib.pre_tokenizers.Split(lib.Regex(_CLIP_WORDS), behavior="removed", invert=True)
    letters = lib.pre_tokenizers.ByteLevel(add_prefix_space=False)
    pipeline.pre_tokenizer = lib.pre_tokenizers.Sequence([words, letters])
    pipeline.add_special_tokens([_START, _END])
    start, end = vocabulary[_START], vocabulary[_END]
    return Tokenizer("clip", lambda text: [start, *pipeline.encode(text, add_special_tokens=False).ids, end], end, 0)


def byte_order() -> list[int]:
    """The 256 bytes in the vocabulary's order: those that print as a letter first."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [*printable, *(value for value in range(256) if value not in printable)]


def byte_letters() -> list[str]:
    """The letters that stand for the bytes of `byte_order`: printable ones for themselves, others from 256 on."""
    printable = [value for value in byte_order() if value > ord(" ") and not 127 <= value <= 160 and value != 173]
    return [*map(chr, printable), *(chr(256 + i) for i in range(256 - len(printable)))]


def published_vocabulary(path: str | os.PathLike[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Reads bpe_simple_vocab_16e6.txt.gz as its authors published it: a line per merge after the first line.

    Args:
      path: path of the file.

    Returns:
      Token -> number, 49408 of them, and the merges in order.
    """
    budget = budgets.current()
    with gzip.open(io.BytesIO(budgets.read_bytes(path, text=True))) as stream:
        text = stream.read(budget.text + 1)
    budget.check(str(path), "the vocabulary", len(text), "text")
    lines = text.decode().split("\n")[1 : 1 + _NUM_MERGES]
    merges = [pair(line.split()) for line in lines]
    letters = byte_letters()
    words = [*letters, *(letter + _WORD_END for letter in letters), *("".join(merge) for merge in merges), _START, _END]
    return {word: i for i, word in enumerate(words)}, merges


def _from_vocabulary(folder: pathlib.Path) -> Tokenizer:
    vocabulary = json.loads(budgets.read_bytes(folder / "vocab.json", text=True))
    lines = budgets.read_bytes(folder / "merges.txt", text=True).decode().split("\n")
    merges = [pair(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    return clip_tokenizer(vocabulary, merges)


def _from_tokenizer_json(path: pathlib.Path, kind: str) -> Tokenizer:
    content = json.loads(budgets.read_bytes(path, text=True))
    if kind == "clip":
        model = content["model"]
        merges = [pair(m.split(" ") if isinstance(m, str) else m) for m in model["merges"]]
        marks = {token["content"]: token["id"] for token in content.get("added_tokens", ())}
        return clip_tokenizer({**model["vocab"], **marks}, merges)
    pipeline = _require("tokenizers").Tokenizer.from_str(json.dumps(content | {"padding": None, "truncation": None}))
    end = pipeline.token_to_id("</s>")
    if end is None:
        raise _checks.InputError(f"{path}: expected SigLIP's vocabulary with the end mark </s>")

    def encode(text: str) -> list[int]:
        return [*pipeline.encode(canonical(text), add_special_tokens=False).ids, end]

    return Tokenizer("siglip", encode, end, end)


def _from_sentencepiece(path: pathlib.Path) -> Tokenizer:
    content = budgets.read_bytes(path, text=True)
    model = _require("sentencepiece").SentencePieceProcessor(model_proto=content)
    end = model.eos_id()
    return Tokenizer("siglip", lambda text: [*model.encode(canonical(text)), end], end, end)


def canonical(text: str) -> str:
    """SigLIP's canonical text: lower case, no punctuation, single spaces."""
    text = text.translate(str.maketrans("", "", string.punctuation)).lower()
    return re.sub(r"\s+", " ", text).strip()


def find(kind: str, beside: str | os.PathLike[str] | None = None) -> pathlib.Path:
    """Finds a vocabulary: next to a weight file, or CLIP's in an installed open_clip (which is not imported).

    Args:
      kind: "clip" or "siglip".
      beside: a weight file; its folder is searched.

    Returns:
      A path for `load`.

    Raises:
      InputError: when there is none, saying which file to put where.
    """
    names = ("tokenizer.json", "vocab.json", _VOCABULARY_FILE) if kind == "clip" else ("tokenizer.json", "spiece.model")
    folder = pathlib.Path(beside).parent if beside else None
    for name in names:
        if folder and (folder / name).exists():
            return folder / name
    found = importlib.util.find_spec("open_clip") if kind == "clip" else None
    if found and found.origin:
        path = pathlib.Path(found.origin).with_name(_VOCABULARY_FILE)
        if path.exists():
            return path
    where = f" in {folder}" if folder else ""
    raise _checks.InputError(
        f"tokenizer: no vocabulary of {kind} found; put {' or '.join(names)} of the model's repository{where}"
        + (", or install open_clip_torch, which has it" if kind == "clip" else "")
    )


def load(kind: str, path: str | os.PathLike[str]) -> Tokenizer:
    """Reads a tokenizer.

    Args:
      kind: "clip" or "siglip", `TextTower.tokenizer` of the network.
      path: tokenizer.json, vocab.json with merges.txt beside it, CLIP's bpe_simple_vocab_16e6.txt.gz, or SigLIP's
        spiece.model; or a folder that has one of them.

    Returns:
      The tokenizer.

    Raises:
      InputError: for an unknown kind, a file that cannot be read or is none of these, or a missing extra.
    """
    _checks.check_choice(kind, ("clip", "siglip"), "kind")
    path = pathlib.Path(path)
    if path.is_dir():
        path = find(kind, path / "weights")
    try:
        if path.name == "tokenizer.json":
            return _from_tokenizer_json(path, kind)
        if kind == "clip" and path.name in ("vocab.json", "merges.txt"):
            return _from_vocabulary(path.parent)
        if kind == "clip" and path.suffix == ".gz":
            return clip_tokenizer(*published_vocabulary(path))
        if kind == "siglip" and path.suffix == ".model":
            return _from_sentencepiece(path)
    except _checks.InputError as error:
        if str(path.parent) in str(error):
            raise
        raise _checks.InputError(f"{path}: {error}") from None
    # Both libraries raise bare Exceptions on damaged files.
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise _checks.InputError(f"{path}: cannot be read as a tokenizer of {kind} ({reason})") from error
    raise _checks.InputError(f"{path}: not a vocabulary of {kind}")


def cleaned(text: str) -> str:
    """Undoes HTML escapes, twice as CLIP's authors do; for text from the web, class names have none."""
    return html.unescape(html.unescape(text)).strip()
