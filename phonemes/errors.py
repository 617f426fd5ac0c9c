"""Errors that a user can correct, and how commands and stages report them.

A lack of memory or file handles, or a disk that fails, is never reported as damage of the
file that was being read: `raise_true_cause` is the one place that separates the two.
"""

import errno
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path

LOWER = "lower train.batch_size, model.hidden or data.k"
MADE_ANEW = "run `phonemes repair --cache`, then `dvc repro`"  # what a stage wrote, if damaged
# libraries say it in words: torch as RuntimeError, pandas as ParserError, Praat as PraatError
_NO_MEMORY = re.compile(
    "out of memory|not enough memory|(can't|cannot|unable to) allocate|ALLOC_FAILED", re.IGNORECASE
)
_HANDLES = {errno.EMFILE, errno.ENFILE}
_ACCESS = {errno.EACCES, errno.EPERM}
_DISK = {
    getattr(errno, name)
    for name in (
        *("EIO", "ENOSPC", "EDQUOT", "EROFS", "ENODEV", "ENXIO", "EUCLEAN", "EBADMSG", "EFBIG"),
        *("ESTALE", "ETIMEDOUT", "ENOTCONN", "EHOSTDOWN", "EHOSTUNREACH", "EREMOTEIO", "ENOLCK"),
    )
    if hasattr(errno, name)
}


class InputError(ValueError):
    """Something the user gave cannot be used; the message says what, where and the fix."""


class MachineError(InputError):
    """The machine lacks what it takes to read or write a file; the file is not at fault."""


def raise_true_cause(error: BaseException, path: object) -> None:
    """Raise what the machine lacked while a file was read; return where the file may be at fault.

    To be called first wherever an error of a reader is taken for damage of its file.

    Args:
        error: what reading the file raised.
        path: of the file.

    Raises:
        MachineError: no memory, too many open files, no permission, or the disk failed.
    """
    if isinstance(error, MachineError):
        raise error
    code = _code(error)
    reason = os.strerror(code) if code else ""
    fix = ""
    if _is_memory(error):
        reason = "there is not enough memory"
        fix = "end other programs, lower runtime.jobs, or use a machine with more memory"
    elif code in _HANDLES:
        fix = "raise the limit, as with `ulimit -n 4096`, or end other programs"
    elif code in _ACCESS:
        fix = "change its permissions, or work as a user who may read it"
    elif code in _DISK:
        fix = "check the disk that it is on, and the connection to it"
    if fix:
        raise MachineError(f"cannot read {path}: {reason}; {fix}") from None


def _code(error: BaseException) -> int | None:
    """Return the system's number of an error; libraries in Rust have it in their text."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


def _is_memory(error: BaseException) -> bool:
    """Return whether memory ran out."""
    if isinstance(error, OSError | InputError):  # the latter quotes what the user wrote
        return _code(error) == errno.ENOMEM
    words = _NO_MEMORY.search(str(error)) or _code(error) == errno.ENOMEM
    return isinstance(error, MemoryError) or bool(words)


@contextmanager
def reported(interrupted: str = "interrupted", memory: str = LOWER) -> Iterator[None]:
    """End the program with one line and exit code 1 where the user can correct the cause.

    SIGTERM and SIGHUP, with which systems end programs, interrupt as Ctrl-C does, so that
    what was begun is cleaned away. A standard stream that is closed takes what is printed
    and drops it: else the next file that is opened would get its number, and its text.

    Args:
        interrupted: what to say after an interruption.
        memory: what to do where memory ran out.
    """
    _open_closed_streams()
    try:
        with _signals_interrupt():
            yield
            sys.stdout.flush()
    except InputError as error:
        sys.exit(f"error: {error}")
    except (OSError, MemoryError, RuntimeError) as error:
        if _is_memory(error):
            reason = ". ".join(str(error).partition("\n")[0].split(". ")[:3])  # advice follows
            sys.exit(f"error: out of memory{': ' * bool(reason)}{reason}; {memory}")
        if not isinstance(error, OSError):
            raise
        where = "cannot write to standard output: " * _silence_broken_output()
        sys.exit(f"error: {where}{error}; what was there before is untouched")
    except KeyboardInterrupt:
        sys.exit(interrupted)


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Have signals that end programs raise KeyboardInterrupt in the main thread, while inside.

    Signals that are ignored, as SIGHUP is by nohup, stay ignored.
    """
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [signal.Signals[name] for name in names]
    try:
        changed = [each for each in numbers if signal.getsignal(each) is signal.SIG_DFL]
        for number in changed:
            signal.signal(number, signal.default_int_handler)
    except ValueError:  # not the main thread, which alone takes signals
        changed = []
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def _open_closed_streams() -> None:
    """Open each standard stream that is closed to where nothing is kept."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115


def _silence_broken_output() -> bool:
    """Return whether standard output cannot be written; drop then what waits to be."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())  # else Python fails once more at exit
        return True
    return False


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return "; did you mean X?" for the known name most like `name`, or ""."""
    close = get_close_matches(name.upper(), [item.upper() for item in known], n=1, cutoff=0.5)
    matches = [item for item in known if close and item.upper() == close[0]]
    return f"; did you mean {matches[0]}?" if matches else ""
