"""Writes small ONNX models by hand: the mean colour of an image, and a linear layer on it."""

import numpy as np


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: bytes | str) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _value(name: str, shape: tuple[int | str, ...]) -> bytes:
    sizes = [_text(1, _number(1, side) if isinstance(side, int) else _text(2, side)) for side in shape]
    return _text(1, name) + _text(2, _text(1, _number(1, 1) + _text(2, b"".join(sizes))))


def _node(kind: str, inputs: list[str], output: str, attributes: bytes = b"") -> bytes:
    return _text(1, b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, kind) + attributes)


def model(
    weights: np.ndarray,
    shape: tuple[int | str, ...],
    axes: tuple[int, int] = (2, 3),
    *,
    with_features: bool = True,
    external: str | None = None,
) -> bytes:
    """Returns the bytes of a model from images of `shape` to logits [B, n] and features [B, 3].

    Args:
      weights: float32 [3, n].
      shape: of the input, the first axis a number or a name.
      axes: of height and width.
      with_features: whether the features are an output too.
      external: name of the file that holds the weights' bytes; None: the model holds them.
    """
    tensor = _number(1, 3) + _number(1, weights.shape[1]) + _number(2, 1) + _text(8, "weights")
    if external is None:
        tensor += _text(9, weights.astype("<f4").tobytes())
    else:
        tensor += _text(13, _text(1, "location") + _text(2, external)) + _number(14, 1)
    axis = _text(1, "axes") + b"".join(_number(8, axis) for axis in axes) + _number(20, 7)
    keep = _text(1, "keepdims") + _number(3, 0) + _number(20, 2)
    outputs = [("logits", weights.shape[1])] + ([("features", 3)] if with_features else [])
    graph = (
        _node("ReduceMean", ["images"], "features", _text(5, axis) + _text(5, keep))
        + _node("MatMul", ["features", "weights"], "logits")
        + _text(2, "colours")
        + _text(5, tensor)
        + _text(11, _value("images", shape))
        + b"".join(_text(12, _value(name, ("batch", size))) for name, size in outputs)
    )
    return _number(1, 8) + _text(7, graph) + _text(8, _number(2, 13))
