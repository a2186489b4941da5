"""What a run leaves on disk: its directory, checkpoints, settings, record and history, and tables of runs."""
