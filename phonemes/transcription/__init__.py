"""From a recording to its phonemes, with their times and confidences."""
