"""What runs inside Lightning's loop: shorter steps, the progress bar, and the checkpoints that are written."""
