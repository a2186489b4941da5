"""Using a trained network: from Python, on pictures, in an ensemble, exported, and on a page to draw on."""
