"""From a user's files, or generated speech, to packed arrays."""
