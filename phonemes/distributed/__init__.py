"""Several processes that work on one thing: torch.distributed's group, started by torchrun."""
