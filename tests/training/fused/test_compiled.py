"""Kernels compile for an H100 on any machine: the interpreter would run what a GPU cannot."""

import ast
import os
import subprocess
import sys

import pytest
from helpers import ROOT
from training.fused import interpreted  # noqa: F401  # skips where Triton is missing


def kernels():
    """Return the names of the project's kernels: what Triton compiles and no kernel calls."""
    compiled = [
        function
        for path in (ROOT / "phonemes").rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(function, ast.FunctionDef)
        and any("triton.jit" in ast.unparse(each) for each in function.decorator_list)
    ]
    called = {
        call.func.id
        for function in compiled
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    }
    return {function.name for function in compiled} - called


@pytest.mark.heavy
def test_every_kernel_of_training_and_scoring_compiles_for_an_h100(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-m", "training.compiled"],
        env=environment | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
            "TRITON_CACHE_DIR": str(tmp_path),
        },
        cwd=ROOT, text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == kernels()
