"""What a person runs: one module a subcommand of `phonemes`."""
