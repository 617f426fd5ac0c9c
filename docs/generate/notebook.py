"""Run the notebook anew and keep its outputs: `python -m docs.generate.notebook`."""

from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOK = Path(__file__).parents[1] / "transcribe.ipynb"


def executed(path: Path = NOTEBOOK, seconds: int = 120) -> NotebookNode:
    """Return the notebook with the outputs of a fresh kernel, in a temporary folder.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=seconds, resources=resources).execute()
    for cell in notebook.cells:  # times of the run
        cell.metadata.pop("execution", None)
    return notebook


def printed(notebook: NotebookNode) -> list[str]:
    """Return what the cells print or show as text."""
    outputs = [each for cell in notebook.cells for each in cell.get("outputs", [])]
    return [
        each.text if each.output_type == "stream" else each.data.get("text/plain", "")
        for each in outputs
    ]


if __name__ == "__main__":
    nbformat.write(executed(), NOTEBOOK)
