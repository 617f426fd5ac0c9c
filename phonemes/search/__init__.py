"""Search for architectures and hyperparameters: many trainings in one process, drawn by Optuna."""
