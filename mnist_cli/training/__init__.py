"""What runs inside Lightning's loop: shorter steps and the progress bar."""
