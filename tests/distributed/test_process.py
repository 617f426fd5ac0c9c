"""Lines of several processes are not mixed."""

from io import RawIOBase

from phonemes.distributed.process import WholeLines


class Pipe(RawIOBase):
    """Keeps what is written to it at once."""

    def __init__(self):
        self.written = []

    def writable(self):
        return True

    def write(self, data):
        self.written.append(bytes(data))
        return len(data)


def test_lines_that_are_printed_together_are_written_at_once():
    pipe = Pipe()
    lines = WholeLines(pipe, "utf-8")
    print("one", "two\nthree", file=lines)  # three texts and an end
    assert pipe.written == [b"one two\nthree\n"]
    print("a bar", end="", file=lines)
    assert len(pipe.written) == 1
    lines.flush()
    assert pipe.written[1:] == [b"a bar"]
