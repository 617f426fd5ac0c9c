"""Run the notebook anew and keep its outputs: `python -m docs.generate.notebook`."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs/transcribe.ipynb"


def executed(path: Path = NOTEBOOK, seconds: int = 120) -> NotebookNode:
    """Return the notebook with the outputs of a fresh kernel, in a temporary folder.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, timeout=seconds, resources=resources)
        client.execute(env=os.environ | {"PYTHONPATH": str(ROOT)})
    for cell in notebook.cells:  # times of the run
        cell.metadata.pop("execution", None)
    return notebook


def printed(notebook: NotebookNode) -> list[str]:
    """Return what the cells print or show as text; of pictures nothing."""
    outputs = [each for cell in notebook.cells for each in cell.get("outputs", [])]
    return [
        each.text if each.output_type == "stream" else each.data["text/plain"]
        for each in outputs
        if each.output_type == "stream" or "image/png" not in each.data
    ]


if __name__ == "__main__":
    nbformat.write(executed(), NOTEBOOK)
