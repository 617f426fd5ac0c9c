"""Loading an .npy file returns numpy's own arrays unchanged and never runs code in the file."""

import base64
import io
import os
import pickle
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from helpers import ragged
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib import format as npy

from phonemes.corpus.arrays import safe_pickle
from phonemes.corpus.arrays.safe_numpy import load
from phonemes.errors import InputError

PROTOCOLS = (2, 3, 4, 5)
# np.save of numpy 1.16 under Python 2.7: object arrays of a float32 (2, 3) and a Fortran-order
# big-endian float64 (1, 3); of an "S3" array and an object array of str
PYTHON_2_FRAMES = (
    "eNqb7BfqGxDJyFDGUK2eklqcXKRupaBe46+uo6Cell9UUpSYF59flJIKEnZLzClOBYoXZyQWpAL5GkY6mjoKtQqUAK4GpuS8"
    "0tyCSr3k/KJUvdzSnJLMxKKixEqu+KLU5Py84pKi0uQSrkJGiCquvBSIbCGTN0NrKGNSe1Ahs4Y3ozdTK1RBSkllQSpXIUso"
    "k7+FN4M3I1ABq4Y3cyhjjZ+fn9d/IAAT3vYlSZ2xhWwaGYwZCKPYwUZ5M7dlAPWnmUD1c4D126DqZwDqD5VgAIMGeyDhAERA"
    "3ADECxxKklDM5QSZywgzF+YuLrC5drjNZWCw/wChHaD8kqTUkiQ9APWZfEE="
)
PYTHON_2_TEXT = (
    "eNqljMFLwzAYxZPWTZe/ordUKD3oZewi8yBotBNHDjvISNJIhK1t0q9CcYKXIp79g2e2DsWz7/DB9977va+M390vMHpBrzTX"
    "tXJ0EtHNjCYRfSodOFEsS5frnX0lVrX2fm1Epf0fnyWnSfQW/UfkPVBFs67aVJVOp+tmBc/COdGSpdOqLGpwjQJicd8iRd6n"
    "NmCo41h+PNgwZpgF3aGQQ1tpYo94MBszxLAvDGIWcrzJsuxm67U/7ALk56Mdxgab36njfsp4en5+oE9+aBb6FHmOD6dTNL++"
    "BfmHHu1o3JmBHyYcXwqQGmT6Da2BY4s="
)


def header(shape, descr="|O", fortran=False):
    file = io.BytesIO()
    content = {"descr": descr, "fortran_order": fortran, "shape": shape}
    npy.write_array_header_1_0(file, content)
    return file.getvalue()


def raw_header(text):
    text = text.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def saved(array, protocol=4):
    """Return the .npy file of an object array as np.save writes it at a pickle protocol."""
    return header(array.shape) + pickle.dumps(array, protocol)


def load_bytes(content, folder):
    path = folder / "some.npy"
    path.write_bytes(content)
    return load(path)


def assert_same(array, expected):
    assert type(array) is np.ndarray
    assert array.shape == expected.shape
    assert array.dtype == expected.dtype
    if expected.dtype != object:
        assert np.array_equal(array, expected)
        return
    for item, wanted in zip(array.flat, expected.flat, strict=True):
        if isinstance(wanted, np.ndarray):
            assert_same(item, wanted)
        else:
            assert item == wanted


# What numpy writes is read

DTYPES = st.sampled_from(
    "<f4 >f4 <f8 >f8 <f2 |i1 |u1 <i2 >i4 <i8 >u8 |b1 <U6 >U3 |S4".split(),
)


@st.composite
def arrays(draw):
    shape = draw(st.lists(st.integers(0, 5), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    array = rng.integers(0, 100, shape).astype(draw(DTYPES))
    return draw(st.sampled_from([np.ascontiguousarray, np.asfortranarray]))(array)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("npy")


@given(array=arrays())
def test_plain_arrays_come_back(folder, array):
    np.save(folder / "plain.npy", array)
    assert_same(load(folder / "plain.npy"), array)


@given(items=st.lists(arrays(), max_size=4), protocol=st.sampled_from(PROTOCOLS))
def test_object_arrays_come_back_at_every_protocol(folder, items, protocol):
    assert_same(load_bytes(saved(ragged(items), protocol), folder), ragged(items))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "array",
    [
        ragged([ragged(["AA", "SIL"]), ragged([b"B"])]),
        ragged([np.str_("AA"), np.bytes_(b"B"), np.int64(3), np.float32(0.5), 1, 2.5, True]),
        ragged([*["AA"] * 300, *[f"phone {number}" for number in range(300)]]),
        ragged([np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2)]),
        np.array([["AA", "B"], ["CH", "D"]], object),
    ],
)
def test_nested_text_scalars_and_transposed_arrays_come_back(array, protocol, tmp_path):
    assert_same(load_bytes(saved(array, protocol), tmp_path), array)


def test_files_of_numpy_1_name_the_same_functions_elsewhere(tmp_path):
    array = ragged([np.ones((2, 3), np.float32)])
    for protocol in (2, 3):  # text, so the module can be renamed in place
        old = saved(array, protocol).replace(b"numpy._core.", b"numpy.core.")
        assert_same(load_bytes(old, tmp_path), array)


@pytest.mark.parametrize("protocol", [None, *PROTOCOLS])
def test_long_arrays_come_back_and_stay_in_their_file(protocol, tmp_path, monkeypatch):
    monkeypatch.setattr("phonemes.corpus.arrays.safe_numpy.PASSED", 2**20)
    random = np.random.default_rng(0)
    items = [random.normal(size=(5_000, 40)).astype(np.float32) for _ in range(12)]
    items[1] = np.asfortranarray(items[1])
    path = tmp_path / "a.npy"
    if protocol is None:  # of numbers, not of objects
        np.save(path, np.stack(items))
    else:
        path.write_bytes(header((12,)) + pickle.dumps(ragged(items), protocol))
    tracemalloc.start()
    found = load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for array, item in zip(found, items, strict=True):
        np.testing.assert_array_equal(array, item)
        assert array.flags.f_contiguous == (item.flags.f_contiguous and protocol is not None)
    if protocol in (None, 3, 4):
        assert peak < path.stat().st_size / 20
        with pytest.raises(ValueError, match="read-only"):
            found[0][0, 0] = 1


def test_files_by_python_2_come_back(tmp_path):
    frames = load_bytes(zlib.decompress(base64.b64decode(PYTHON_2_FRAMES)), tmp_path)
    first = np.arange(6, dtype="<f4").reshape(2, 3)
    assert_same(frames, ragged([first, np.arange(3, dtype=">f8").reshape(1, 3)]))
    text = load_bytes(zlib.decompress(base64.b64decode(PYTHON_2_TEXT)), tmp_path)
    assert_same(text, ragged([np.array([b"AA", b"SIL"]), ragged(["B"])]))


def test_long_integers_in_headers_by_python_2_are_read_without_a_warning(tmp_path):
    content = raw_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 1L), }")
    array = load_bytes(content + np.ones(2, "<f4").tobytes(), tmp_path)
    assert_same(array, np.ones((2, 1), "<f4"))


# Anything else is refused

CALLABLES = [
    "os.system",
    "posix.system",
    "nt.system",
    "os.popen",
    "subprocess.Popen",
    "subprocess.check_output",
    "builtins.eval",
    "builtins.exec",
    "builtins.open",
    "builtins.getattr",
    "builtins.__import__",
    "__builtin__.eval",
    "importlib.import_module",
    "runpy.run_path",
    "pickle.loads",
    "pathlib.Path.touch",
    "functools.partial",
    "operator.attrgetter",
    "types.FunctionType",
    "copyreg._reconstructor",
    "_codecs.decode",
    "codecs.encode",
    "numpy.load",
    "numpy.fromfile",
    "numpy.memmap",
    "numpy.matrix",
    "numpy.frombuffer",
    "numpy.testing._private.utils.runstring",
    "numpy._core.multiarray.fromfile",
    "numpy.core.multiarray._reconstruct.__globals__.get",
    "torch.load",
    "canary.sing",  # importing it leaves a trace
]


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def named(name):
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def call(function, *arguments):
    """Return the instructions that call `function` with arguments given as instructions."""
    return function + b"(" + b"".join(arguments) + b"tR"


def state(function, *values):
    return function + b"(" + b"".join(values) + b"tb"


RECONSTRUCT = named("numpy._core.multiarray._reconstruct")
SCALAR = named("numpy._core.multiarray.scalar")
FROM_BUFFER = named("numpy._core.numeric._frombuffer")
NDARRAY = named("numpy.ndarray")
DTYPE = named("numpy.dtype")
ENCODE = named("_codecs.encode")
EMPTY = call(RECONSTRUCT, NDARRAY, b"K\0\x85", b"C\1b")
OBJECT = call(DTYPE, text("O8"), b"\x89\x88")
FLOAT = call(DTYPE, text("f4"), b"\x89\x88")
HUGE = b"\x8a\5\0\0\0\0\x40"  # 2**38
ONE, EIGHT_BYTES = b"K\1", b"C\x0812345678"


def array(shape, dtype, content, fortran=b"\x89"):
    return state(EMPTY, ONE, shape, dtype, fortran, content)


def inside(instructions):
    """Return an .npy file of one object whose pickle is `instructions`."""
    return header((1,)) + b"\x80\5" + array(b"K\1\x85", OBJECT, b"](" + instructions + b"e") + b"."


def pickled(instructions, shape=(1,)):
    return header(shape) + b"\x80\5" + instructions + b"."


class Exploit:
    def __reduce__(self):
        return os.system, ("touch {canary}",)


COMMAND = text("touch {canary}")
HOSTILE = {
    # classes and functions, named and called in every way there is
    **{name: (inside(call(named(name), COMMAND)), name) for name in CALLABLES},
    "only a call": (pickled(call(named("os.system"), COMMAND)), "os.system"),
    "a call before the array": (
        pickled(call(named("os.system"), COMMAND) + b"0" + EMPTY),
        "os.system",
    ),
    "a call as shape": (
        pickled(array(call(named("os.system"), COMMAND), FLOAT, EIGHT_BYTES)),
        "os.system",
    ),
    "a name from the stack": (
        inside(call(text("os") + text("system") + b"\x93", COMMAND)),
        "os.system",
    ),
    "an old instance": (inside(b"(" + COMMAND + b"ios\nsystem\n"), "os.system"),
    "an instance": (inside(b"(" + named("os.system") + COMMAND + b"o"), "os.system"),
    "a new object": (inside(named("subprocess.Popen") + b"(" + COMMAND + b"t\x81"), "Popen"),
    "a name with dots": (inside(call(b"\x8c\2os\x8c\6system\x93", COMMAND)), "os.system"),
    "a real exploit": (
        header((1,)) + pickle.dumps(Exploit()),
        "posix.system",
    ),
    "a subclass of ndarray": (
        pickled(call(RECONSTRUCT, named("numpy.ma.MaskedArray"), b"K\0\x85", b"C\1b")),
        "numpy.ma.MaskedArray",
    ),
    # instructions that no array needs
    "an extension code": (inside(b"\x82\1"), "EXT1"),
    "a long extension code": (inside(b"\x84\1\0\0\0"), "EXT4"),
    "a persistent id": (inside(b"Pcanary\n"), "PERSID"),
    "a persistent object": (inside(COMMAND + b"Q"), "BINPERSID"),
    "a dictionary": (inside(b"}"), "EMPTY_DICT"),
    "an assignment to an item": (inside(EMPTY + b"K\0K\0s"), "SETITEM"),
    "a buffer from outside": (inside(b"\x97"), "NEXT_BUFFER"),
    "a new array": (inside(NDARRAY + b")\x81"), "NEWOBJ"),
    # misuse of what is admitted
    "a call of ndarray": (inside(call(NDARRAY, HUGE + b"\x85")), "calls numpy.ndarray"),
    "a call of text": (inside(call(text("os.system"), COMMAND)), "TypeError"),
    "a class that is text": (
        inside(call(RECONSTRUCT, text("numpy.matrix"), b")", b"C\1b")),
        "not a numpy.ndarray",
    ),
    "a class that is a function": (
        inside(call(RECONSTRUCT, ENCODE, b")", b"C\1b")),
        "not a numpy.ndarray",
    ),
    "another encoding": (inside(call(ENCODE, text("a"), text("punycode"))), "latin1"),
    "building a function": (inside(state(ENCODE, ONE)), "not an array"),
    "building a class": (inside(state(DTYPE, ONE, text("<"))), "not an array"),
    "building a list": (inside(state(b"]", ONE)), "not an array"),
    "building from a dictionary": (inside(EMPTY + b"}b"), "EMPTY_DICT"),
    "pointers as objects": (
        pickled(array(b"K\1\x85", OBJECT, b"C\x0812345678")),
        "cannot reshape",
    ),
    "a buffer of pointers": (
        inside(call(FROM_BUFFER, EIGHT_BYTES, OBJECT, b"K\1\x85", text("C"))),
        "holds object",
    ),
    "a scalar pointer": (inside(call(SCALAR, OBJECT, EIGHT_BYTES)), "holds object"),
    "raw records": (pickled(array(b"K\1\x85", call(DTYPE, text("V8")), EIGHT_BYTES)), "V8"),
    "records of objects": (
        pickled(array(b"K\1\x85", call(DTYPE, text("O,f4")), EIGHT_BYTES)),
        "O,f4",
    ),
    "a type of nothing": (pickled(array(HUGE + b"\x85", call(DTYPE, text("S0")), b"C\0")), "S0"),
    "a list for a type": (pickled(array(b"K\1\x85", call(DTYPE, b"]"), EIGHT_BYTES)), "TypeError"),
    "a huge shape": (pickled(array(HUGE + b"\x85", FLOAT, EIGHT_BYTES)), "holds 8 bytes"),
    "a huge empty shape": (pickled(array(HUGE + b"K\0\x86", FLOAT, b"C\0")), "holds 0 bytes"),
    "a huge empty object shape": (pickled(array(HUGE + b"K\0\x86", OBJECT, b"]")), "holds 0"),
    "a negative shape": (pickled(array(b"J\xff\xff\xff\xff\x85", FLOAT, EIGHT_BYTES)), "declares"),
    "a list for a shape": (pickled(array(b"](K\1K\1e", FLOAT, EIGHT_BYTES)), "tuple of integers"),
    "lists in a shape": (pickled(array(HUGE + b"]K\0a\x86", FLOAT, EIGHT_BYTES)), "tuple of int"),
    "100 axes": (pickled(array(b"(" + ONE * 100 + b"t", FLOAT, b"C\x041234")), "100 axes"),
    "an array within itself": (
        pickled(EMPTY + b"\x94(" + ONE + b"K\1\x85" + OBJECT + b"\x89](h\0etb"),
        "NoneType",
    ),
    "an array never filled": (pickled(EMPTY), "holds no array"),
    "text for an array": (pickled(text("array")), "holds no array"),
    "nothing": (pickled(b""), "ValueError"),
    "several values": (pickled(ONE + ONE), "ValueError"),
    "a list that holds itself": (inside(b"]\x94h\0a"), "is a list"),
    "nested tuples": (inside(b")" + b"\x85" * 100_000), "is a tuple"),
    "doubling tuples": (inside(b")" + b"\x94h\0\x86" * 100), "is a tuple"),
    "a fetch of what was never stored": (inside(b"j\xff\xff\xff\x7f"), "IndexError"),
    "an item stored far away": (inside(ONE + b"r\xff\xff\xff\x7f"), "far larger than the file"),
    "more bytes than there are": (inside(b"\x8e" + b"\xff" * 7 + b"\x0f"), "is damaged"),
    "a gigabyte of nothing": (inside(b"B\0\0\0\x40"), "not 1073741824|expected 1073741824"),
    "an end of list without its start": (pickled(b"e"), "IndexError"),
    # objects that are no arrays
    "a text longer than any name": (saved(ragged(["A" * 257])), "a text of 257 characters"),
    "a list": (saved(ragged([[1, 2], [3]])), "element 0 is a list; expected an array"),
    "None": (saved(ragged([np.ones(2), None])), "element 1 is a NoneType; expected an array"),
    "only a dictionary": (saved(np.array({"frames": 1})), "EMPTY_DICT"),
    # headers
    "a huge header": (header((2**40, 40), "<f4"), "declares shape"),
    "a header of several terabytes": (header((4, 2**40), "<f4") + bytes(16), "declares shape"),
    "a larger header": (header((3,), "<f4") + bytes(8), "12 bytes, but holds 8"),
    "a header with negative sizes": (header((-1, -2), "<f4") + bytes(8), "declares shape"),
    "a header of other objects": (
        saved(ragged([1, 2])).replace(b"(2,)", b"(9,)"),
        "declares shape",
    ),
    "a header that calls": (raw_header("__import__('os').system('touch {canary}')"), "is damaged"),
    "a header that is no dictionary": (raw_header("[1, 2]"), "not a dictionary"),
    "a header of signs": (raw_header("-" * 8000 + "1"), "no description of an array|is damaged"),
    "a header in brackets": (raw_header("(" * 5000), "is damaged"),
    "a long header": (raw_header("#" * 20_000), "Header info length"),
    "a header of records": (header((1,), [("x", "O"), ("y", "<f4")]), "is damaged"),
    "a header of raw bytes": (header((1,), "|V8") + bytes(8), r"holds \|V8"),
    "a header of dates": (header((1,), "<M8[s]") + bytes(8), "datetime64"),
    "a header of nothing": (header((2**40,), "|S0"), "declares shape|holds"),
    "a later version": (b"\x93NUMPY\x03\x00" + bytes(128), "is not an .npy file"),
    "a pickle": (pickle.dumps([1]), "is not an .npy file"),
    "a page": (b"<!DOCTYPE html>", "is not an .npy file: it starts with b'<!DOCTYP'"),
    "no bytes": (b"", "is not an .npy file"),
    "an archive": (b"PK\3\4" + bytes(100), "is an archive; unpack it"),
    "a compressed file": (b"\x1f\x8b" + bytes(100), "is an archive; unpack it"),
    "a second array": (header((1,), "<f4") + bytes(4) + header((1,), "<f4"), "bytes, but holds"),
    "a second pickle": (saved(ragged([1])) + pickle.dumps(2), "more bytes after its array"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_refused_and_leaves_no_trace(
    content, message, tmp_path, monkeypatch, tally
):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    canary = tmp_path / "trace"
    (tmp_path / "canary.py").write_text(f"open({str(canary)!r}, 'w')")
    with pytest.raises(InputError, match=message) as error:
        load_bytes(content.replace(b"{canary}", b"./trace!"), tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'some.npy'}: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["canary.py", "some.npy"]
    tally["hostile arrays refused"] += 1


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_file_cut_short_anywhere_is_refused(tmp_path, protocol):
    content = saved(ragged([np.ones((2, 3)), ragged(["AA", "B"])]), protocol)
    for size in range(len(content)):
        with pytest.raises(InputError):
            load_bytes(content[:size], tmp_path)


def test_what_is_not_a_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    for name in ("pipe.npy", "absent.npy", "."):
        with pytest.raises(InputError, match="is not a file"):
            load(tmp_path / name)


def test_the_harmless_parts_of_the_hostile_files_load(tmp_path):
    # so those were refused for what they hold, and not because they are malformed
    assert_same(load_bytes(inside(text("AA")), tmp_path), ragged(["AA"]))
    assert_same(
        load_bytes(pickled(array(b"K\2\x85", FLOAT, EIGHT_BYTES), (2,)), tmp_path),
        np.frombuffer(b"12345678", "f4"),
    )


RAGGED = ragged([np.ones((2, 3)), np.arange(3), ragged(["AA", np.str_("B")])])
VALID = [
    *(saved(RAGGED, protocol) for protocol in PROTOCOLS),
    header((2, 3), "<f4") + np.ones(6, "<f4").tobytes(),
    zlib.decompress(base64.b64decode(PYTHON_2_TEXT)),
]


@st.composite
def damaged(draw):
    content = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, len(content) - 1))
        removed = draw(st.sampled_from([0, 1, 1, 1, 2, 8]))
        content[position : position + removed] = draw(st.binary(max_size=4))
    return bytes(content)


@given(content=damaged())
@settings(max_examples=300)
def test_a_damaged_file_yields_an_array_or_an_input_error(folder, content, tally):
    tally["inputs fuzzed"] += 1
    try:
        array = load_bytes(content, folder)
    except InputError as error:
        assert str(error).startswith(str(folder))
    else:
        assert type(array) is np.ndarray
        assert array.dtype.kind in "biufSUO"


# Memory is bounded by the size of the file

MOST_MEMORY = 64  # bytes for each byte of the file
ROOM = 3 << 20  # bytes for any file: what may always be made, three times


def peak(content, folder):
    """Return the array, None where it is refused, and the most memory that loading took."""
    path = folder / "some.npy"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        return load(path), tracemalloc.get_traced_memory()[1]
    except InputError:
        return None, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def held(array):
    """Return the bytes of an array's elements, each as often as it occurs."""
    if array.dtype != object:
        return array.nbytes
    return sum(held(item) if isinstance(item, np.ndarray) else 8 for item in array.flat)


def assert_bounded(content, folder):
    array, most = peak(content, folder)
    assert most < MOST_MEMORY * len(content) + ROOM
    assert array is None or held(array) < MOST_MEMORY * len(content) + ROOM
    return array


LONG = text("A" * 20_000) + b"\x94"  # at place 0
BYTES = b"B" + struct.pack("<I", 20_000) + bytes(20_000) + b"\x94"
SIZE = b"J" + struct.pack("<i", 20_000) + b"\x85"
ITEMS = b"](" + b"K\1" * 20_000 + b"e\x94"  # a list of 20,000
MANY = b"(" + b"K\1" * 20_000 + b"t\x94"  # a tuple of as many
BOMBS = {  # what comes first, and what is repeated 1,000 times
    "one text encoded": (LONG, call(ENCODE, b"h\0", text("latin1"))),
    "one text as content": (LONG, array(SIZE, call(DTYPE, text("S1")), b"h\0")),
    "one scalar": (
        BYTES,
        call(SCALAR, call(DTYPE, text("S20000")), b"h\0"),
    ),
    "one list as content": (ITEMS, array(SIZE, OBJECT, b"h\0")),
    "one array": (
        array(SIZE, call(DTYPE, text("S1")), BYTES[:-1]) + b"\x94",
        b"h\0",
    ),
    "one buffer": (
        BYTES,
        call(FROM_BUFFER, b"h\0", call(DTYPE, text("S1")), SIZE, text("C")),
    ),
    "one shape": (MANY, array(b"h\0", FLOAT, b"C\0")),
    "many arguments": (MANY, RECONSTRUCT + b"h\0R"),
    "many flags": (MANY, DTYPE + b"h\0R"),
    "many fields": (MANY, DTYPE + text("f4") + b"\x85R" + b"h\0b"),
}


@pytest.mark.parametrize(("first", "again"), BOMBS.values(), ids=BOMBS.keys())
def test_what_is_used_again_and_again_is_paid_for_each_time(first, again, tmp_path):
    content = inside(first + again * 1000)
    assert assert_bounded(content, tmp_path) is None


@pytest.mark.parametrize(
    "instructions",
    [b"N", b"]", b")", b")\x85", b"(", b"K\1\x94", b"]\x94", b"\x94", b"X\1\0\0\0a", b"J\1\2\3\4",
     b"G12345678", b"\x8a\1\1", b"\x8c\2ab", EMPTY, FLOAT, b"(t", b"(]t", b"N\x85\x94"],
)  # fmt: skip
def test_no_instruction_takes_more_than_its_share(instructions, tmp_path):
    assert_bounded(pickled(b"K\1" + instructions * (2**17 // len(instructions))), tmp_path)


def test_lengths_that_are_only_claimed_take_no_memory(tmp_path):
    for content in (
        inside(b"B\0\0\0\x40"),
        inside(b"\x8e\0\0\0\x40\0\0\0\0"),
        b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**30),
    ):
        assert_bounded(content, tmp_path)


PARTS = [
    *(LONG, BYTES, b"h\0", b"h\1", b"h\2", b"j\3\0\0\0", b"\x94", b"q\4", b"(", b"t", b"]", b"e"),
    *(b"\x85", b"\x86", b"\x87", b"R", b"b", b"K\1", b"K\0", b"\x89", b"N", b"a"),
    *(SIZE, EMPTY, OBJECT, FLOAT),
    *(RECONSTRUCT, SCALAR, FROM_BUFFER, NDARRAY, DTYPE, ENCODE, text("latin1"), text("S1")),
    *(array(SIZE, call(DTYPE, text("S1")), b"h\0"), call(ENCODE, b"h\0", text("latin1"))),
    *(array(b"K\1\x85", OBJECT, b"](h\1e"), array(b"K\2\x85", OBJECT, b"](h\1h\1e") + b"\x94"),
]  # fmt: skip


@given(
    program=st.lists(
        st.tuples(st.sampled_from(PARTS), st.sampled_from([1, 1, 2, 300])), max_size=30
    ),
    wrapped=st.booleans(),
)
@settings(max_examples=150)
def test_no_program_takes_more_than_a_multiple_of_its_file(folder, program, wrapped, tally):
    tally["inputs fuzzed"] += 1
    instructions = b"".join(part * count for part, count in program)
    assert_bounded((inside if wrapped else pickled)(LONG + instructions), folder)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_numpy_writes_needs_less_than_half_of_what_it_may(protocol, tmp_path, monkeypatch):
    monkeypatch.setattr(safe_pickle, "MOST_MADE", safe_pickle.MOST_MADE // 2)
    monkeypatch.setattr(safe_pickle, "ROOM_TO_MAKE", 0)
    for array in (
        ragged([ragged([f"phone {number}" for number in range(500)])]),
        ragged([np.zeros(0) for _ in range(500)]),
        ragged([np.zeros((1, 1), "i1") for _ in range(500)]),
        ragged([np.int8(number % 100) for number in range(500)]),
        ragged([ragged(["AA"] * 2) for _ in range(500)]),
    ):
        assert_same(load_bytes(saved(array, protocol), tmp_path), array)
