"""The calibration of a network: its bins. test_figures.py has what its figure shows, beside the other figures."""

import numpy as np

from mnist_cli.report.calibration import reliability_bins


def test_a_confidence_on_an_edge_belongs_to_the_bin_above_and_1_to_its_own():
    confidences = np.array([0.0, 0.25, 0.5, 0.999, 1.0, 1.0], np.float32)
    counts, _, accuracy = reliability_bins(confidences, np.array([0, 1, 1, 1, 1, 0], bool), 4)
    assert counts.tolist() == [1, 1, 1, 1, 2]
    assert accuracy.tolist() == [0, 1, 1, 1, 0.5]
