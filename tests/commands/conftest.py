"""Commands print as into a pipe, whatever terminal the tests run in."""

import pytest


@pytest.fixture(autouse=True)
def pipe(monkeypatch):
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
