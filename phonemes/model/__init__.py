"""The network: its layers, and the file that it is stored in."""
