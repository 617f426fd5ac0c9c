"""Makes what the documentation takes from the code: `python -m docs.generate`, part of `make docs`.

Tests compare the files in git with what these modules make.
"""
