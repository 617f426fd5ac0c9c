"""Loading a .pt file returns torch's own values and never runs code in the file."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phonemes.corpus.arrays.safe_torch import load_tensor
from phonemes.errors import InputError

FLOATS = (torch.float16, torch.float32, torch.float64)


def saved(value, zipped=True):
    """Return the .pt file of a value as torch.save writes it, or wrote it before torch 1.6."""
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def load_bytes(content, folder):
    path = folder / "some.pt"
    path.write_bytes(content)
    return load_tensor(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pt")


# What torch writes is read


@st.composite
def tensors(draw):
    """Return a tensor, or a view of one: a part, every other row, transposed."""
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    tensor = torch.randn(rows, columns, generator=generator).to(draw(st.sampled_from(FLOATS)))
    start = draw(st.integers(0, rows))
    view = tensor[start :: draw(st.integers(1, 3)), draw(st.integers(0, columns)) :]
    return draw(st.sampled_from([tensor, view, tensor.T, view.T, tensor[0], tensor[0, 0]]))


@given(tensor=tensors(), zipped=st.booleans())
def test_tensors_and_views_of_tensors_come_back(folder, tensor, zipped):
    array = load_bytes(saved(tensor, zipped), folder)
    assert array.dtype == tensor.numpy().dtype
    assert np.array_equal(array, tensor.numpy())


@pytest.mark.parametrize("zipped", [True, False])
def test_a_part_of_a_batch_comes_back_though_its_storage_is_the_batch(zipped, tmp_path):
    batch = torch.arange(600.0).reshape(10, 20, 3)
    content = saved(batch[4, :5], zipped)
    assert len(content) > batch.nbytes
    assert np.array_equal(load_bytes(content, tmp_path), batch[4, :5])


def test_a_tensor_with_a_gradient_comes_back(tmp_path):
    tensor = torch.ones(2, 3, requires_grad=True)
    assert np.array_equal(load_bytes(saved(tensor), tmp_path), np.ones((2, 3)))


def zipped(members, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def members(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


TENSOR = torch.arange(6.0).reshape(2, 3)
GOOD = members(saved(TENSOR))
VALUES = TENSOR.numpy().tobytes()


def test_files_of_big_endian_machines_and_of_torch_1_come_back(tmp_path):
    name = "archive/data.pkl"
    assert name in GOOD
    plain = {name: GOOD[name], "archive/data/0": VALUES, "archive/version": b"3\n"}
    assert np.array_equal(load_bytes(zipped(plain), tmp_path), TENSOR)
    big = plain | {"archive/byteorder": b"big", "archive/data/0": TENSOR.numpy().astype(">f4")}
    assert np.array_equal(load_bytes(zipped(big), tmp_path), TENSOR)


# Anything else is refused


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def named(name):
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def number(value):
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def numbers(*values):
    return b"(" + b"".join(map(number, values)) + b"t"


REBUILD, HOOKS = named("torch._utils._rebuild_tensor_v2"), named("collections.OrderedDict") + b")R"


def storage(values=6, kind="torch.FloatStorage", key="0", more=b""):
    return (
        b"("
        + text("storage")
        + named(kind)
        + text(key)
        + text("cpu")
        + number(values)
        + more
        + b"tQ"
    )


def tensor(shape=(2, 3), strides=(3, 1), first=0, stored=None):
    """Return the instructions that make a tensor."""
    stored = storage() if stored is None else stored
    return (
        REBUILD
        + b"("
        + stored
        + number(first)
        + numbers(*shape)
        + numbers(*strides)
        + b"\x89"
        + HOOKS
        + b"tR"
    )


def program(instructions, values=VALUES, **other):
    """Return a .pt file whose pickle is `instructions`."""
    return zipped({"a/data.pkl": b"\x80\x02" + instructions + b".", "a/data/0": values, **other})


class Exploit:
    def __reduce__(self):
        return os.system, ("touch trace",)


CALL = named("os.system") + b"(" + text("touch trace") + b"tR"
OLD = saved(TENSOR, zipped=False)
MANY = 10**12
HOSTILE = {
    # code
    "an exploit": (zipped({"a/data.pkl": pickle.dumps(Exploit())}), "names 'posix.system'"),
    "an exploit by torch.save": (saved(Exploit()), "names 'posix.system'"),
    "an exploit before torch 1.6": (saved(Exploit(), zipped=False), "names 'posix.system'"),
    "a bare exploit": (pickle.dumps(Exploit(), 2), "is no tensor by torch.save: it starts with"),
    "a call in a shape": (
        program(REBUILD + b"(" + storage() + number(0) + CALL + b"tR"),
        "names 'os.system'",
    ),
    "a call in a storage": (program(b"(" + CALL + b"tQ"), "names 'os.system'"),
    "a call of eval": (program(named("builtins.eval") + text("1") + b"\x85R"), "builtins.eval"),
    "a call of torch": (program(named("torch.load") + text("a") + b"\x85R"), "names 'torch.load'"),
    "a call of numpy": (program(named("numpy.load") + text("a") + b"\x85R"), "names 'numpy.load'"),
    "an instance": (program(b"(" + text("true") + b"ios\nsystem\n"), "names 'os.system'"),
    "a call of a storage": (program(named("torch.FloatStorage") + b")R"), "is damaged"),
    "hooks that call": (program(named("collections.OrderedDict") + CALL + b"\x85R"), "os.system"),
    "a state": (program(tensor() + numbers(1) + b"b"), "builds something"),
    "a dictionary": (saved({"frames": TENSOR}), "EMPTY_DICT, which a tensor of floats does not"),
    "a list of tensors": (saved([TENSOR]), "holds no tensor; save one tensor a file"),
    "a parameter": (saved(torch.nn.Parameter(TENSOR)), "torch._utils._rebuild_parameter"),
    "an array of numpy": (saved(TENSOR.numpy()), "_reconstruct"),
    "a module": (saved(torch.nn.Linear(1, 1)), "torch.nn.modules.linear.Linear"),
    "nothing": (program(b""), "is damaged"),
    "a storage alone": (program(storage()), "holds no tensor"),
    "a tensor without a storage": (program(tensor(stored=text("0"))), "without a storage"),
    # storages
    "integers": (saved(TENSOR.long()), "values of torch.LongStorage; expected floats: save tensor"),
    "booleans": (saved(TENSOR > 1), "holds values of torch.BoolStorage; expected floats"),
    "bfloat16": (saved(TENSOR.bfloat16()), "holds values of torch.BFloat16Storage"),
    "another type than the bytes": (
        program(tensor(stored=storage(kind="torch.DoubleStorage"))),
        "declares 6 values of 8 bytes but holds 24 bytes",
    ),
    "a smaller storage": (program(tensor(), VALUES[:-4]), "6 values of 4 bytes but holds 20 bytes"),
    "a larger storage": (program(tensor(), VALUES * 2), "6 values of 4 bytes but holds 48 bytes"),
    "a claimed terabyte": (program(tensor(stored=storage(MANY))), "declares 1000000000000 values"),
    "a negative storage": (program(tensor(stored=storage(-6))), "declares -6 values"),
    "text for a number": (
        program(tensor(stored=storage()[:-2] + text("6") + b"tQ")),
        "describes a storage otherwise",
    ),
    "an unknown type": (program(storage(kind="torch.Tensor")), "names 'torch.Tensor'"),
    "a missing storage": (program(tensor(stored=storage(key="1"))), "is damaged .*data/1"),
    "a storage elsewhere": (program(tensor(stored=storage(key="../../x"))), "is damaged .*x"),
    "a view of a storage": (
        program(tensor(stored=storage(more=numbers(0, 6)))),
        "describes a storage otherwise than torch.save",
    ),
    # places
    "values again and again": (
        saved(torch.zeros(1, 3).expand(10**6, 3)),
        r"declares shape \(1000000, 3\) with strides \(0, 1\), but its storage has 3 values; save",
    ),
    "a huge shape": (program(tensor((MANY, MANY))), "but its storage has 6 values; save tensor"),
    "a huge empty shape": (program(tensor((0, MANY))), "declares shape"),
    "a huge stride": (program(tensor(strides=(MANY, 1))), "but its storage has 6 values"),
    "a huge first value": (program(tensor(first=MANY)), "but its storage has 6 values"),
    "one value too many": (program(tensor(first=1)), "but its storage has 6 values"),
    "a negative stride": (program(tensor(strides=(-3, 1), first=3)), "no counts"),
    "a negative first value": (program(tensor(first=-1)), "no counts"),
    "a negative shape": (program(tensor((-2, -3))), "no counts"),
    "fewer strides": (program(tensor(strides=(1,))), "not tuples of one length"),
    "100 axes": (program(tensor((1,) * 100, (1,) * 100)), "100 axes"),
    "a text for a shape": (
        program(REBUILD + b"(" + storage() + number(0) + text("23") + numbers(3, 1) + b"tR"),
        "not tuples of one length",
    ),
    # archives
    "a bomb": (
        zipped({"a/data.pkl": b"\x80\x02" + b"(" * 10**7}, zipfile.ZIP_DEFLATED),
        "holds 'a/data.pkl' compressed, 10,000,002 bytes of a file of ",
    ),
    "compressed values": (
        zipped(GOOD | {"archive/data/0": bytes(24)}, zipfile.ZIP_DEFLATED),
        "compressed",
    ),
    "two pickles": (zipped(GOOD | {"b/data.pkl": b"."}), "has 2 files data.pkl; expected one"),
    "no pickle": (zipped({"a": b""}), "has 0 files data.pkl; expected one"),
    "an unknown byte order": (program(tensor(), **{"a/byteorder": b"middle"}), "is damaged"),
    "no bytes": (b"", "is no tensor by torch.save: it starts with b''"),
    "a page": (b"<!DOCTYPE html>", "starts with b'<!DOCTYP'; write it with torch.save"),
    "an .npy file": (b"\x93NUMPY\x01\x00" + bytes(120), "is no tensor by torch.save"),
    "a tar archive": (b"pickle\0" + bytes(1000), "is no tensor by torch.save"),
    "other values than declared before torch 1.6": (
        OLD[:-32] + struct.pack("<q", 5) + OLD[-24:-4],
        "declares 6 values but holds 5",
    ),
    "two storages before torch 1.6": (saved([TENSOR, TENSOR + 1], False), "holds no tensor"),
    "a cut storage before torch 1.6": (OLD[:-1], "6 values of 4 bytes but holds 23 bytes"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_refused_and_leaves_no_trace(
    content, message, tmp_path, monkeypatch, tally
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        load_bytes(content, tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'some.pt'}: ")
    assert len(str(error.value).splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["some.pt"]
    tally["hostile arrays refused"] += 1


def test_the_harmless_parts_of_the_hostile_files_load(tmp_path):
    # so those were refused for what they hold, and not because they are malformed
    assert np.array_equal(load_bytes(program(tensor()), tmp_path), TENSOR)
    assert np.array_equal(load_bytes(program(tensor((3, 2), (1, 3))), tmp_path), TENSOR.T)
    assert load_bytes(program(tensor((2,), (2,), 1)), tmp_path).tolist() == [1, 3]
    assert np.array_equal(load_bytes(zipped(GOOD), tmp_path), TENSOR)


@pytest.mark.parametrize("content", [saved(TENSOR), OLD], ids=["zip", "before torch 1.6"])
def test_a_file_cut_short_anywhere_is_refused(content, tmp_path):
    for size in range(len(content)):
        with pytest.raises(InputError):
            load_bytes(content[:size], tmp_path)


def test_what_is_not_a_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.pt")
    for name in ("pipe.pt", "absent.pt", "."):
        with pytest.raises(InputError, match=r"is not a file; put the .pt file itself"):
            load_tensor(tmp_path / name)


@st.composite
def damaged(draw):
    content = bytearray(draw(st.sampled_from([saved(TENSOR), OLD, program(tensor())])))
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, len(content) - 1))
        removed = draw(st.sampled_from([0, 1, 1, 1, 2, 8]))
        content[position : position + removed] = draw(st.binary(max_size=4))
    return bytes(content)


@given(content=damaged())
@settings(max_examples=300)
def test_a_damaged_file_yields_a_tensor_or_an_input_error(folder, content, tally):
    tally["inputs fuzzed"] += 1
    try:
        array = load_bytes(content, folder)
    except InputError as error:
        assert str(error).startswith(str(folder))
    else:
        assert array.dtype.kind == "f"
        assert array.nbytes <= len(content)


# Memory is bounded by the size of the file

LONG = b"(" + b"K\1" * 20_000 + b"t\x94"  # a tuple, at place 0
BOMBS = {
    "one shape again and again": LONG + (REBUILD + b"(" + storage() + b"K\0h\0h\0tR") * 1000,
    "storages": storage() * 2000,
    "marks": b"(" * 2**17,
    "an item stored far away": storage() + b"r\xff\xff\xff\x7f",
    "a claimed text": b"X\0\0\0\x40",
    "a description that is long": LONG + b"h\0Q" * 1000,
    "hooks": LONG + (named("collections.OrderedDict") + b"h\0R") * 1000,
}


@pytest.mark.parametrize("instructions", BOMBS.values(), ids=BOMBS.keys())
def test_a_file_takes_no_more_memory_than_a_multiple_of_its_size(instructions, tmp_path):
    content = program(instructions)
    (tmp_path / "some.pt").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            load_tensor(tmp_path / "some.pt")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 64 * len(content) + (3 << 20)
