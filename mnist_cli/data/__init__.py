"""Where digits come from, and how they reach the network: files -> batches of images in [0, 1]."""
