"""Search for architectures and hyperparameters: many trainings in one process, told to Optuna."""
