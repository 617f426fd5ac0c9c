"""An error that the user can correct ends a program with one line that names its cause."""

import errno
import os
import signal
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.errors import (
    InputError,
    MachineError,
    did_you_mean,
    raise_true_cause,
    reported,
)

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@given(st.text(), st.lists(st.text()))
def test_a_suggestion_is_a_known_name_or_nothing(name, known):
    assert did_you_mean(name, known) in {"", *(f"; did you mean {item}?" for item in known)}


def test_a_suggestion_ignores_case():
    assert did_you_mean("dropuot", ["Dropout", "lr"]) == "; did you mean Dropout?"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InputError("a.npy is missing"), "error: a.npy is missing"),
        (OSError("disk full"), "error: disk full; what was there before is untouched"),
        (MemoryError(), "error: out of memory; lower train.batch_size, "),
        (RuntimeError("CUDA out of memory. Tried 2 GB\nmore"), "CUDA out of memory. Tried 2 GB; "),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "error: out of memory: [Errno 12] "),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_what_the_user_can_mend_ends_in_one_line(error, message):
    with pytest.raises(SystemExit) as ended, reported():
        raise error
    assert message in str(ended.value) and "\n" not in str(ended.value)


def test_any_other_error_keeps_its_traceback():
    with pytest.raises(RuntimeError, match="shapes differ"), reported():
        raise RuntimeError("shapes differ")


def test_a_fault_of_the_device_is_not_taken_for_lack_of_memory():
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    with pytest.raises(RuntimeError, match="illegal"), reported():
        raise error


# The true cause


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "there is not enough memory; end other programs, lower runtime.jobs, or "),
        (OSError(errno.ENOMEM, "x"), "there is not enough memory; end other programs"),
        (ValueError("Error tokenizing data. C error: out of memory"), "there is not enough memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            "not enough memory",
        ),
        (OSError(errno.EMFILE, "x"), "Too many open files; raise the limit, as with `ulimit -n "),
        (OSError(errno.ENFILE, "x"), "open files in system; raise the limit, as with `ulimit -n "),
        (OSError(errno.EIO, "x"), "Input/output error; check the disk that it is on, and the "),
        (OSError(errno.ENOSPC, "x"), "No space left on device; check the disk that it is on"),
        (OSError(errno.ESTALE, "x"), "Stale file handle; check the disk that it is on"),
        (PermissionError(errno.EACCES, "x"), "Permission denied; change its permissions"),
        (Exception("I/O error: Input/output error (os error 5)"), "Input/output error; check the "),
    ],
)
def test_what_the_machine_lacks_is_not_a_fault_of_the_file(error, message):
    with pytest.raises(MachineError) as raised:
        raise_true_cause(error, "a.npy")
    assert str(raised.value).startswith("cannot read a.npy: ")
    assert message in str(raised.value)
    with pytest.raises(MachineError) as again:  # by a reader that calls another one
        raise_true_cause(raised.value, "other.npy")
    assert again.value is raised.value


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad header"),
        FileNotFoundError(errno.ENOENT, "x"),
        IsADirectoryError(errno.EISDIR, "x"),
        OSError(errno.EINVAL, "a seek to before the start"),
        OSError("not a gzipped file"),
        InputError("the text has the words out of memory"),
        EOFError(),
    ],
)
def test_a_fault_of_the_file_stays_one(error):
    raise_true_cause(error, "a.npy")


# Ends by the system, and streams that are closed or full


@POSIX
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_to_end_is_an_interruption(name):
    number = signal.Signals[name]
    before, cleaned = signal.getsignal(number), []
    with pytest.raises(SystemExit, match=r"^stopped$"), reported("stopped"):
        try:
            os.kill(os.getpid(), number)
            threading.Event().wait(10)
        finally:
            cleaned.append(name)
    assert cleaned == [name]
    assert signal.getsignal(number) is before


@POSIX
def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as by nohup
    try:
        with reported():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_it_works_in_a_thread_which_takes_no_signals():
    done = []

    def work():
        with reported():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done


PROGRAM = """
import sys
from phonemes.errors import InputError, reported
with reported():
    print("printed")
    print("noted", file=sys.stderr)
    {}
"""


def run(code, redirection):
    command = ["bash", "-c", f'exec "$0" -c "$1" {redirection}', sys.executable]
    environment = {name: os.environ[name] for name in os.environ if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [*command, PROGRAM.format(code)], capture_output=True, text=True, env=environment
    )


@pytest.mark.heavy
@POSIX
@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error_and_no_file_gets_their_numbers(redirection, tmp_path):
    path = tmp_path / "data"
    code = f"import os; file = open({str(path)!r}, 'w'); os.write(2, b'x'); os.write(1, b'x')"
    assert run(code, redirection).returncode == 0
    assert path.read_text() == ""


@pytest.mark.heavy
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux alone has it")  # noqa: PTH110
def test_a_full_standard_output_is_one_line():
    result = run("", "> /dev/full")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "noted",
        "error: cannot write to standard output: [Errno 28] No space left on device; what was "
        "there before is untouched",
    ]
