"""Evaluates a pickle without Python's unpickler: only tensors and plain values come out, and nothing can run.

A pickle is a program: its opcodes may import any function and call it. This evaluator imports nothing. It looks up each
name that the program asks for in the table of pickle_names.py: the functions that rebuild a tensor are implemented
here, plain configuration objects become one inert object without attributes, the classes of a TorchScript archive
become dictionaries, and any other name is refused before anything happens. Sets become lists and dictionaries take
plain keys only, so that no method of an object of the file, its hash included, is ever called.

References:
  [1] Python `pickletools.py`: the opcodes.
"""

import pickletools
import types
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from causal_iqa import _checks
from causal_iqa.backbones.weights import budgets, pickle_names
from causal_iqa.backbones.weights.budgets import short
from causal_iqa.backbones.weights.pickle_names import Damaged, Refused


class _Machine:
    """The stack and the memory of one pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memory: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack:
            raise Damaged("an empty stack")
        return self.stack.pop()

    def top(self) -> Any:
        if not self.stack:
            raise Damaged("an empty stack")
        return self.stack[-1]

    def since_mark(self) -> list[Any]:
        if not self.marked:
            raise Damaged("no mark")
        found, self.stack = self.stack, self.marked.pop()
        return found

    def get(self, number: int) -> Any:
        if number not in self.memory:
            raise Damaged(f"nothing is remembered under {short(number)}")
        return self.memory[number]

    def set_items(self, pairs: list[Any]) -> None:
        if len(pairs) % 2:
            raise Damaged("a key without a value")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            pickle_names.set_item(self.top(), key, value)

    def extend(self, values: list[Any]) -> None:
        pickle_names.extend(self.top(), values)

    def mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def dictionary(self) -> None:
        pairs = self.since_mark()
        self.push({})
        self.set_items(pairs)

    def build(self) -> None:
        state = self.pop()
        pickle_names.built(self.top(), state)

    def call(self) -> None:
        arguments = self.pop()
        self.push(pickle_names.called(self.pop(), arguments))

    def make(self, arguments: int) -> None:
        for _ in range(arguments):
            self.pop()
        self.push(pickle_names.made(self.pop()))

    def name(self) -> None:
        name = self.pop()
        self.push(pickle_names.named(self.pop(), name))

    def tuple_of(self, count: int) -> None:
        self.push(tuple(reversed([self.pop() for _ in range(count)])))


_PUSHES = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING"),
    *("SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES"),
    *("BINBYTES8", "BYTEARRAY8"),
)
_STEPS: Mapping[str, Callable[[_Machine, Any], Any]] = types.MappingProxyType(
    {
        **{name: lambda m, arg: m.push(arg) for name in _PUSHES},
        "PROTO": lambda m, arg: None,
        "FRAME": lambda m, arg: None,
        "MARK": lambda m, arg: m.mark(),
        "POP": lambda m, arg: m.pop() if m.stack else m.since_mark(),
        "POP_MARK": lambda m, arg: m.since_mark(),
        "DUP": lambda m, arg: m.push(m.top()),
        "NONE": lambda m, arg: m.push(None),
        "NEWTRUE": lambda m, arg: m.push(True),
        "NEWFALSE": lambda m, arg: m.push(False),
        "EMPTY_LIST": lambda m, arg: m.push([]),
        "EMPTY_SET": lambda m, arg: m.push([]),
        "EMPTY_DICT": lambda m, arg: m.push({}),
        "EMPTY_TUPLE": lambda m, arg: m.push(()),
        "LIST": lambda m, arg: m.push(m.since_mark()),
        "FROZENSET": lambda m, arg: m.push(m.since_mark()),
        "TUPLE": lambda m, arg: m.push(tuple(m.since_mark())),
        "TUPLE1": lambda m, arg: m.tuple_of(1),
        "TUPLE2": lambda m, arg: m.tuple_of(2),
        "TUPLE3": lambda m, arg: m.tuple_of(3),
        "DICT": lambda m, arg: m.dictionary(),
        "SETITEM": lambda m, arg: m.set_items([m.pop(), m.pop()][::-1]),
        "SETITEMS": lambda m, arg: m.set_items(m.since_mark()),
        "APPEND": lambda m, arg: m.extend([m.pop()]),
        "APPENDS": lambda m, arg: m.extend(m.since_mark()),
        "ADDITEMS": lambda m, arg: m.extend(m.since_mark()),
        **{name: lambda m, arg: m.memory.__setitem__(arg, m.top()) for name in ("PUT", "BINPUT", "LONG_BINPUT")},
        "MEMOIZE": lambda m, arg: m.memory.__setitem__(len(m.memory), m.top()),
        **{name: lambda m, arg: m.push(m.get(arg)) for name in ("GET", "BINGET", "LONG_BINGET")},
        "GLOBAL": lambda m, arg: m.push(pickle_names.named(*arg.split(" ", 1))),
        "STACK_GLOBAL": lambda m, arg: m.name(),
        "REDUCE": lambda m, arg: m.call(),
        "NEWOBJ": lambda m, arg: m.make(1),
        "NEWOBJ_EX": lambda m, arg: m.make(2),
        "BUILD": lambda m, arg: m.build(),
        "BINPERSID": lambda m, arg: m.push(pickle_names.stored(m.pop())),
    }
)


def load(stream: BinaryIO, path: str, budget: budgets.Budget | None = None) -> Any:
    """Evaluates one pickle.

    Args:
      stream: a stream at the start of the pickle; it is at the end afterwards.
      path: the file's name, for messages.
      budget: its `objects` bounds the opcodes.

    Returns:
      Dictionaries, lists, tuples, numbers, text, `Tensor`, `Module` and `Inert`.

    Raises:
      InputError: when it is damaged, or asks for anything else, which the message names.
    """
    machine, budget = _Machine(), budget or budgets.current()
    try:
        for steps, (opcode, arg, _) in enumerate(pickletools.genops(stream)):
            if opcode.name == "STOP":
                return machine.pop()
            budget.check(path, "the pickle", steps, "objects")
            if opcode.name == "PERSID":
                raise Refused(f"the persistent object {short(arg)}")
            step = _STEPS.get(opcode.name)
            if step is None:
                raise Damaged(f"opcode {opcode.name}")
            step(machine, arg)
    except Refused as refused:
        raise _checks.InputError(
            f"{path}: refused, the pickle asks for {refused}; only tensors and plain dictionaries, lists, numbers and "
            "strings are read, so save the state_dict alone or convert the file to .safetensors where you trust it"
        ) from None
    except (Damaged, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, _checks.InputError):
            raise
        reason = " ".join(str(error).split())[:100]
        raise _checks.InputError(f"{path}: truncated or damaged PyTorch file ({reason})") from None
    raise _checks.InputError(f"{path}: truncated or damaged PyTorch file (it does not end)")
