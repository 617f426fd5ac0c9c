"""Pages that explain a recording or a run: one HTML file each, which needs no network."""
