"""What data are like before training: summaries, copies, suspicious utterances, pictures."""
