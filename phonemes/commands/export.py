"""`phonemes export`: write a trained model as an ONNX file."""

from importlib import import_module
from pathlib import Path

import click

from phonemes.errors import InputError
from phonemes.storage.layout import MODEL

SUFFIX = ".onnx"


@click.command(epilog="Example: phonemes export --out english.onnx")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    metavar="FILE",
    default=MODEL,
    show_default=True,
    help="To export.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    default=Path("model.onnx"),
    show_default=True,
    help="File to write; an older one is replaced.",
)
def export(model: Path, out: Path) -> None:
    """Write a trained model as one ONNX file.

    The file takes samples and gives log posteriors of phonemes. Features, normalization and all
    networks are in it, and what its user must know is in its metadata; docs/export.md describes
    it. It is compared with torch before it is written.
    """
    if out.suffix != SUFFIX or out.is_dir():
        raise InputError(f"--out is {out}; expected the name of a file that ends with {SUFFIX}")
    for library in ("onnx", "onnxruntime"):
        try:
            import_module(library)
        except (ImportError, OSError) as error:
            raise InputError(
                f"phonemes export needs {library} ({error}); run pip install -e '.[export]'"
            ) from None
    # not above: `phonemes --help` needs none of them
    import torch

    from phonemes.export.check import check
    from phonemes.export.model import onnx_model, outline
    from phonemes.model.store import load_model
    from phonemes.storage.atomic import replacing

    bundle = load_model(model, torch.device("cpu"))
    content = onnx_model(bundle).SerializeToString(deterministic=True)
    found = check(content, bundle)
    with replacing(out) as path:
        path.write_bytes(content)
    lengths = ", ".join(map(str, found.lengths))
    click.echo(
        f"{out}: {len(content) / 1e6:.1f} MB\n"
        f"{outline(bundle.purpose)}\n"
        f"log posteriors differ by at most {found.difference:.1e} from torch's in float32, over\n"
        f"random utterances of {lengths} frames, alone and side by side\n"
        "next: load it with onnxruntime, as examples/label_with_onnx.py does"
    )
