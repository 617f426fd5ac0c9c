"""Recordings with alignments."""
