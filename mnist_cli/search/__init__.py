"""Search for settings: trials with Optuna, each an ordinary run of the command, here or on many machines."""
