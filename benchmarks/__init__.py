"""Commands that measure what README claims; each takes the folders it works in as arguments."""
