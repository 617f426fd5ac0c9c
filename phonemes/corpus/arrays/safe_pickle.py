"""Follow a pickle from a stranger without running anything that it names.

A pickle is a program for a small stack machine that Python's unpickler lets call any function.
`follow` never starts the unpickler. It disassembles the program with `pickletools` and follows
only those instructions that arrays of numbers and text need. Where they name a function, one
of the caller's that checks its arguments is called instead. Anything else is refused by name.

Memory and time are bounded by the size of the program. It can use what it stored again and
again, so that a few bytes could stand for gigabytes; therefore every instruction that makes
something pays for it, and the sum may be `MOST_MADE` times the program. Arrays as numpy writes
them need less than half of that.
"""

import pickletools
from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Any, NamedTuple

from phonemes.errors import InputError

MOST_MADE = 24  # bytes that a program may make for each of its own
ROOM_TO_MAKE = 1 << 20  # bytes that it may always make
OBJECT = 32  # bytes to pay for an object without its content; it takes 28 to 112
POINTER = 8  # bytes of an item of a tuple or list


class Buildable:
    """What a program may build after it was made, with the instruction BUILD."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0  # bytes, with all that it holds

    def build(self, *state: Any) -> None:
        """Take over the state that a program gives; its items are of any type."""
        raise NotImplementedError


class Language(NamedTuple):
    """What programs may do."""

    result: str  # what they describe, for messages
    functions: Mapping[str, Callable[..., Any]]  # what is called, by the names in the program
    # what an object that is stored outside the program becomes, of the description in it
    outside: Callable[[Any], Any] | None = None


IGNORED = {"PROTO", "FRAME", "STOP"}
LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINSTRING", "BINSTRING"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def size_of(value: object) -> int:
    """Return how many bytes something made of `value` takes, at most."""
    if isinstance(value, str | bytes | bytearray | memoryview):
        return len(value)
    if isinstance(value, tuple):
        return POINTER * len(value)
    if isinstance(value, list):
        return sum(POINTER + (item.size if isinstance(item, Buildable) else 0) for item in value)
    return 0


class _Stack:
    """The state of the stack machine."""

    def __init__(self, size: int) -> None:
        """Start with what a program in a file of `size` bytes may make."""
        self.items: list[Any] = []
        self.marks: list[int] = []  # heights of the stack
        self.memo: list[Any] = []
        self._left = MOST_MADE * size + ROOM_TO_MAKE

    def pay(self, size: int = 0) -> None:
        """Pay for an object of `size` bytes."""
        self._left -= OBJECT + size
        if self._left < 0:
            raise InputError(
                "would become far larger than the file, which no array does; get the file from a "
                "source you trust"
            )

    def store(self, place: int) -> None:
        """Store the last item at a place; Python counts on from the last one."""
        if (skipped := place - len(self.memo)) > 0:
            self.pay(POINTER * skipped)
        self.memo.extend(repeat(None, skipped + 1))
        self.memo[place] = self.items[-1]

    def pop(self, start: int) -> list[Any]:
        """Take off and return the items from position `start` on."""
        items = self.items[start:]
        del self.items[start:]
        return items


def follow(source: Any, size: int, language: Language) -> Any:
    """Return what a pickle describes.

    Args:
        source: has the methods read and readline, and gives the program.
        size: bytes of the program, at most.
        language: what it may do.

    Raises:
        InputError: the program does anything else, or makes too much.
        Exception: it is damaged; pickletools and the functions of the language raise many kinds.
    """
    stack = _Stack(size)
    for opcode, argument, _ in pickletools.genops(source):
        if not _make_value(stack, opcode.name, argument):
            _use_function(stack, opcode.name, argument, language)
    (root,) = stack.items
    return root


def _make_value(stack: _Stack, instruction: str, argument: Any) -> bool:
    """Follow an instruction for literals, tuples and lists; return whether it is one."""
    items = stack.items
    match instruction:
        case name if name in LITERALS:
            items.append(argument)
        case "MEMOIZE":
            stack.store(len(stack.memo))
        case "BINPUT" | "LONG_BINPUT":
            stack.store(argument)
        case "BINGET" | "LONG_BINGET":
            items.append(stack.memo[argument])
        case name if name in CONSTANTS:
            items.append(CONSTANTS[name])
        case name if name in TUPLES:
            stack.pay()
            items.append(tuple(stack.pop(len(items) - TUPLES[name])))
        case "MARK":
            stack.pay()
            stack.marks.append(len(items))
        case "TUPLE":
            items.append(tuple(stack.pop(stack.marks.pop())))
        case "EMPTY_LIST":
            stack.pay()
            items.append([])
        case "APPEND":
            item = items.pop()
            items[-1].append(item)
        case "APPENDS":
            values = stack.pop(stack.marks.pop())
            items[-1].extend(values)
        case _:
            return False
    return True


def _use_function(stack: _Stack, instruction: str, argument: Any, language: Language) -> None:
    """Follow an instruction that names, calls or builds something; refuse any other.

    Only functions of `language` ever come onto the stack, so no others can be called,
    and only what is `Buildable` is built.
    """
    items = stack.items
    match instruction:
        case "GLOBAL":
            items.append(_named(argument.replace(" ", "."), language))
        case "STACK_GLOBAL":
            items.append(_named(".".join(stack.pop(len(items) - 2)), language))
        case "INST":  # nobody writes it today; the name is looked up so that its refusal has it
            _named(argument.replace(" ", "."), language)
            raise InputError("makes an instance of a class")
        case "REDUCE":
            function, arguments = stack.pop(len(items) - 2)
            stack.pay(sum(map(size_of, (arguments, *arguments))))
            items.append(function(*arguments))
        case "BUILD":
            state = items.pop()
            if not isinstance(items[-1], Buildable):
                raise InputError("builds something that is not an array")
            stack.pay(sum(map(size_of, (state, *state))))
            items[-1].build(*state)
        case "BINPERSID" if language.outside:
            stack.pay()
            items.append(language.outside(items.pop()))
        case name if name not in IGNORED:
            raise InputError(
                f"holds the pickle instruction {name}, which {language.result} does not need"
            )


def _named(name: str, language: Language) -> Callable[..., Any]:
    if name not in language.functions:
        raise InputError(
            f"names {name[:80]!r}, which is no part of {language.result}: loading it could run "
            "code, so it is refused; get the file from a source you trust"
        )
    return language.functions[name]
