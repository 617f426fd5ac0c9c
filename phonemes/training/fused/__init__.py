"""The training step in Triton kernels, for NVIDIA GPUs."""
