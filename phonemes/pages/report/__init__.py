"""The report of a run, or of two: what explains a model's errors."""
