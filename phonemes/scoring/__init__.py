"""Scores with intervals, and the tables and figures that show them."""
