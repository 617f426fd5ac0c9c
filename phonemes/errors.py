"""Errors that a user can correct, and how commands and stages report them."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches


class InputError(ValueError):
    """Something the user gave cannot be used; the message says what, where and the fix."""


@contextmanager
def reported(interrupted: str = "interrupted") -> Iterator[None]:
    """End the program with one line and exit code 1 where the user can correct the cause.

    Args:
        interrupted: what to say after Ctrl-C.
    """
    try:
        yield
    except InputError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error}; what was there before is untouched")
    except (MemoryError, RuntimeError) as error:  # torch's out of memory is a RuntimeError
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        reason = ". ".join(str(error).partition("\n")[0].split(". ")[:3])  # advice follows
        sys.exit(
            f"error: out of memory{': ' * bool(reason)}{reason}; lower train.batch_size, "
            "runtime.batch_size, model.hidden or data.k"
        )
    except KeyboardInterrupt:
        sys.exit(interrupted)


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return "; did you mean X?" for the known name most like `name`, or ""."""
    close = get_close_matches(name.upper(), [item.upper() for item in known], n=1, cutoff=0.5)
    matches = [item for item in known if close and item.upper() == close[0]]
    return f"; did you mean {matches[0]}?" if matches else ""
