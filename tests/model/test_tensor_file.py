"""Tensors and a description come back as they were written, or the file is named damaged."""

import json
import os
import pickle
import struct
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open

from phonemes.errors import MachineError
from phonemes.model import tensor_file
from phonemes.model.tensor_file import (
    MOST_HEADER,
    DamagedError,
    read_tensors,
    write_tensors,
)

TENSORS = {
    "weight": torch.arange(6.0).reshape(2, 3),
    "transposed": torch.arange(6.0).reshape(2, 3).T,
    "count": torch.tensor(7),
    "step": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
    "halved": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "random": torch.arange(9, dtype=torch.uint8),
}
DESCRIPTION = {"epoch": 3, "loss": 0.1, "names": ["ə", "AA0"], "features": None, "on": True}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.safetensors"


@pytest.fixture
def written(path):
    write_tensors(path, TENSORS, DESCRIPTION)
    return path


def with_header(header, content=b""):
    """Return the bytes of a file whose header says what it likes."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


# Coming back


def test_tensors_of_every_type_and_shape_and_the_description_come_back(written):
    tensors, description = read_tensors(written)
    assert description == DESCRIPTION
    assert tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype
        assert torch.equal(tensors[name], value)


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text() | st.none(),
    )
)
def test_any_description_comes_back(tmp_path_factory, description):
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    write_tensors(path, {}, description)
    assert read_tensors(path) == ({}, description)


def test_what_was_read_does_not_change_with_the_file(written):
    tensors, _ = read_tensors(written)
    written.write_bytes(bytes(written.stat().st_size))
    assert torch.equal(tensors["weight"], TENSORS["weight"])


@pytest.mark.heavy
def test_the_same_content_is_the_same_bytes_in_any_order_and_process(written):
    backwards = written.with_name("other name.partial")
    write_tensors(
        backwards,
        dict(reversed(TENSORS.items())),
        dict(reversed(DESCRIPTION.items())),
    )
    assert backwards.read_bytes() == written.read_bytes()
    program = (
        "import torch, sys; from pathlib import Path\n"
        "from phonemes.model.tensor_file import write_tensors\n"
        "write_tensors(Path(sys.argv[1]), {'b': torch.ones(2), 'a': torch.ones(3)}, {'x': 1})"
    )
    for seed in "12":
        other = written.with_name(seed)
        environment = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", program, other], env=environment, check=True)
    assert written.with_name("1").read_bytes() == written.with_name("2").read_bytes()


def test_a_file_is_what_any_reader_of_safetensors_opens(written):
    with safe_open(written, framework="numpy") as opened:
        assert opened.get_tensor("weight").tolist() == [[0, 1, 2], [3, 4, 5]]


# Files that are refused


class Canary:
    """A pickle that makes a folder when somebody opens it."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("writer", [torch.save, lambda it, file: pickle.dump(it, file)])
def test_a_program_is_never_run(path, writer):
    canary = path.with_name("canary")
    with path.open("wb") as file:
        writer(Canary(canary), file)
    with pytest.raises(DamagedError, match=r"^it is no file of safetensors$"):
        read_tensors(path)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"short", "it is no file of safetensors"),
        (bytes(1000), "header"),
        (struct.pack("<Q", MOST_HEADER + 1) + bytes(9), "it is no file of safetensors"),
        (with_header({}), "it was written by another program"),
        (with_header({"__metadata__": {"phonemes": "{"}}), "its description cannot be read"),
        (with_header({"__metadata__": {"phonemes": "[]"}}), "its description cannot be read"),
        (with_header({"__metadata__": {"phonemes": "[" * 10**6}}), "description cannot be read"),
        (with_header({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}}, b"1234"),
         "header"),
        (with_header({"a": {"dtype": "F32", "shape": [2**64 - 1, 0], "data_offsets": [0, 0]}}),
         "Overflow"),
        (with_header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}), "header"),
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_refused_in_one_line(path, content, reason):
    path.write_bytes(content)
    with pytest.raises(DamagedError) as refusal:
        read_tensors(path)
    assert reason in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_file_cut_short_anywhere_is_damaged(written):
    content = written.read_bytes()
    for length in range(0, len(content), 7):
        written.write_bytes(content[:length])
        with pytest.raises(DamagedError):
            read_tensors(written)


def test_one_changed_bit_anywhere_is_damage(written):
    content = written.read_bytes()
    for place in range(0, len(content), 3):
        changed = bytearray(content)
        changed[place] ^= 1
        written.write_bytes(changed)
        try:
            found = read_tensors(written)
        except DamagedError:
            continue
        # of the header, what says the same in another way: a space is a space
        assert found.description == DESCRIPTION
        assert all(torch.equal(found.tensors[name], value) for name, value in TENSORS.items())


def test_an_edited_number_is_named_by_the_checksum(written):
    content = written.read_bytes()
    written.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DamagedError, match=r"^its checksum is another: it was edited, or changed"):
        read_tensors(written)
    edited = content.replace(rb"\"epoch\":3", rb"\"epoch\":4")
    assert edited != content
    written.write_bytes(edited)
    with pytest.raises(DamagedError, match="its checksum is another"):
        read_tensors(written)


def test_a_pipe_or_a_folder_in_its_place_is_not_waited_for(path):
    os.mkfifo(path)
    with pytest.raises(DamagedError, match="it is no regular file"):
        read_tensors(path)
    with pytest.raises(DamagedError, match="it is no regular file"):
        read_tensors(path.parent)


def test_a_missing_file_is_the_systems_error(path):
    with pytest.raises(FileNotFoundError):
        read_tensors(path)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("unable to open file <a> in read-only mode: Too many open files (24)"),
         "Too many open files; raise the limit"),
        (RuntimeError("unable to mmap 9 bytes from file <a>: Cannot allocate memory (12)"),
         "there is not enough memory"),
        (MemoryError("Cannot allocate memory (os error 12)"), "there is not enough memory"),
        (SafetensorError("I/O error: Input/output error (os error 5)"), "check the disk"),
    ],
)  # fmt: skip
def test_what_the_machine_lacks_is_not_called_damage(written, monkeypatch, error, reason):
    def failing(*_, **__):
        raise error

    monkeypatch.setattr(tensor_file, "safe_open", failing)
    with pytest.raises(MachineError, match=reason):
        read_tensors(written)


def test_a_full_disk_is_the_systems_error(path):
    with pytest.raises(OSError, match="cannot write"):
        write_tensors(path / "in a folder that is not there", TENSORS, {})


def test_the_header_leaves_room_for_the_largest_model(path):
    names = {"phonemes": [f"phone-{number}" for number in range(2**15)]}
    tensors = {f"stacked.{number}.12.running_mean": torch.zeros(1) for number in range(12_000)}
    write_tensors(path, tensors, names)
    assert path.stat().st_size < tensor_file.MOST_HEADER / 4
    assert read_tensors(path).description == names
