"""From recordings to samples, and from samples to log-mel frames."""
