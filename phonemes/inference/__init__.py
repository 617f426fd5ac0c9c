"""Label every frame of a split with a trained network."""
