"""Files of the pipeline: where they are, how they are written and read."""
