"""The figures of a run, checked by what they show: the data of their lines, cells and captions, and their pixels."""

import io
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix

from mnist_cli.data.sources import prepare_digits, read_digits
from mnist_cli.report import figures
from mnist_cli.report.calibration import calibration_figure, reliability_bins
from mnist_cli.report.evaluation import wilson_interval

FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
LONG = [f"{name} with a long description" for name in FASHION]
SOURCE = f"Test on {'folder/' * 12}digits.npz, run {'a-long-name-' * 5}"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """2,000 test digits, uint8, shape (2000, 28, 28), and their labels."""
    data_dir = str(tmp_path_factory.mktemp("data"))
    prepare_digits("MNIST", data_dir)
    images, labels = read_digits("MNIST", data_dir, train=False)
    return images[:2000].numpy(), labels[:2000].numpy()


@pytest.fixture(scope="module")
def probabilities(digits):
    """What a linear classifier, trained on the first 500 of the digits, makes of all 2,000; shape (2000, 10)."""
    images, labels = digits
    pixels = images.reshape(len(images), -1) / 255
    return LogisticRegression(C=0.05, max_iter=200).fit(pixels[:500], labels[:500]).predict_proba(pixels)


@pytest.fixture(scope="module")
def confidences(probabilities):
    return probabilities.max(axis=1)


@pytest.fixture(scope="module")
def correct(digits, probabilities):
    return probabilities.argmax(axis=1) == digits[1]


def history(num_epochs: int) -> list[dict[str, float]]:
    return [
        {
            "epoch": epoch + 1,
            "train/loss": 0.9**epoch,
            "train/acc": 1 - 0.2 * 0.8**epoch,
            "val/loss": 0.1 + 0.9 * 0.9**epoch,
            "val/acc": 0.98 - 0.2 * 0.8**epoch,
        }
        for epoch in range(num_epochs)
    ]


def gallery(digits, probabilities, indices, **options) -> Figure:
    images, labels = digits
    return figures.gallery_figure(images[indices], labels[indices], probabilities[indices], title="Digits", **options)


def calibration(confidences, correct, **options) -> Figure:
    return calibration_figure(confidences, correct, error=0.0123, interval=wilson_interval, **options)


def captions(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def line_data(figure: Figure, panel: int, label: str) -> list[tuple[float, float]]:
    (line,) = [line for line in figure.axes[panel].lines if line.get_label() == label]
    return [(float(x), float(y)) for x, y in line.get_xydata()]


def test_samples_show_the_first_images_of_every_class_row_by_row(digits):
    images, labels = digits
    picture = figures.samples_figure(images, labels, per_class=3).axes[0].images[0].get_array()
    assert picture.shape == (10 * 30, 3 * 30)
    for label in range(10):
        for column, image in enumerate(images[labels == label][:3]):
            shown = picture[label * 30 : label * 30 + 28, column * 30 : column * 30 + 28]
            assert np.corrcoef(shown.ravel(), image.ravel())[0, 1] == pytest.approx(1)


def test_samples_of_float_and_uint8_images_are_the_same_picture(digits):
    images, labels = digits
    as_uint8 = figures.samples_figure(images, labels).axes[0].images[0].get_array()
    as_float = figures.samples_figure((images / 255).astype(np.float32), labels).axes[0].images[0].get_array()
    np.testing.assert_allclose(as_uint8, as_float, atol=1e-6)


def test_augmented_samples_stand_beside_their_originals_under_a_heading(digits):
    images, labels = digits
    turned = np.rot90(images, axes=(1, 2))
    figure = figures.samples_figure(images, labels, augmented=turned)
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("originals", "after augmentation")
    first, first_turned = (panel.images[0].get_array()[:28, :28] for panel in (left, right))
    np.testing.assert_array_equal(np.rot90(first), first_turned)


def test_samples_leave_places_blank_where_a_class_has_too_few_images(digits):
    images, labels = digits
    keep = np.concatenate([np.flatnonzero(labels == label)[: 0 if label == 3 else 2] for label in range(10)])
    figure = figures.samples_figure(images[keep], labels[keep], per_class=4, class_names=FASHION)
    picture = figure.axes[0].images[0].get_array()
    assert not picture[3 * 30 : 4 * 30].any(), "there is no 3"
    assert not picture[:, 2 * 30 :].any(), "there are only two of the others"
    assert picture[: 3 * 30, : 2 * 30].any()
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == FASHION


def test_curves_show_loss_and_accuracy_in_percent_from_epoch_1():
    figure = figures.curves_figure(history(3))
    np.testing.assert_allclose(line_data(figure, 0, "training"), [(1, 1), (2, 0.9), (3, 0.81)])
    np.testing.assert_allclose(line_data(figure, 0, "validation"), [(1, 1), (2, 0.91), (3, 0.829)])
    np.testing.assert_allclose(line_data(figure, 1, "training"), [(1, 80), (2, 84), (3, 87.2)])
    np.testing.assert_allclose(line_data(figure, 1, "validation"), [(1, 78), (2, 82), (3, 85.2)])


def test_curves_mark_the_best_epoch_in_both_panels():
    figure = figures.curves_figure(history(5), best_epoch=4)
    assert [x for panel in (0, 1) for x, _ in line_data(figure, panel, "best epoch")] == [4, 4, 4, 4]
    assert figure.get_suptitle() == "Training; the best epoch is 4"


def test_curves_leave_out_what_is_missing_or_not_a_number():
    rows = history(4)
    del rows[0]["val/loss"], rows[2]["val/loss"]
    rows[3]["train/loss"] = float("nan")
    figure = figures.curves_figure(rows)
    assert [x for x, _ in line_data(figure, 0, "validation")] == [2, 4]
    assert [x for x, _ in line_data(figure, 0, "training")] == [1, 2, 3]


def test_curves_without_validation_show_no_empty_line():
    rows = [{key: value for key, value in row.items() if not key.startswith("val/")} for row in history(4)]
    for panel in figures.curves_figure(rows).axes:
        assert [text.get_text() for text in panel.get_legend().get_texts()] == ["training"]


@pytest.mark.parametrize("num_epochs", [1, 2, 7, 50])
def test_curves_have_ticks_at_whole_epochs_only(num_epochs):
    figure = figures.curves_figure(history(num_epochs))
    for panel in figure.axes:
        low, high = panel.get_xlim()
        ticks = [tick for tick in panel.get_xticks() if low <= tick <= high]
        assert ticks
        assert all(tick == int(tick) and 1 <= tick <= num_epochs for tick in ticks)


def test_curves_differ_in_more_than_colour():
    training, validation = figures.curves_figure(history(4)).axes[0].lines
    assert training.get_linestyle() != validation.get_linestyle()
    assert training.get_marker() != validation.get_marker()


def test_confusion_cells_say_the_counts_that_sklearn_finds(digits, probabilities):
    counts = confusion_matrix(digits[1], probabilities.argmax(axis=1))
    shares = confusion_matrix(digits[1], probabilities.argmax(axis=1), normalize="true")
    cells = {text.get_position()[::-1]: text.get_text() for text in figures.confusion_figure(counts).axes[0].texts}
    expected = {
        (row, column): f"{counts[row, column]}\n{100 * shares[row, column]:.1f} %"
        for row in range(10)
        for column in range(10)
        if counts[row, column]
    }
    assert cells == expected
    assert len(cells) < 100, "cells without an image stay empty"


def test_confusion_colours_reach_from_zero_to_the_largest_share_of_mistakes(digits, probabilities):
    counts = confusion_matrix(digits[1], probabilities.argmax(axis=1))
    picture = figures.confusion_figure(counts).axes[0].images[0]
    shares = counts / counts.sum(axis=1, keepdims=True)
    mistakes = shares[~np.eye(10, dtype=bool)]
    assert picture.get_clim() == (0, mistakes.max())
    np.testing.assert_array_equal(picture.get_array().compressed(), mistakes)
    assert picture.get_array().mask.diagonal().all()


def test_confusion_title_says_the_numbers_of_images_and_errors(digits, probabilities, correct):
    counts = confusion_matrix(digits[1], probabilities.argmax(axis=1))
    errors = int((~correct).sum())
    title = figures.confusion_figure(counts).get_suptitle()
    assert title == f"Confusion matrix: 2,000 images, {errors} errors ({errors / 20:.2f} %)"


def test_confusion_axes_say_which_is_true_and_which_is_predicted():
    panel = figures.confusion_figure(np.eye(10, dtype=int)).axes[0]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("predicted digit", "true digit")


def test_confusion_of_a_class_without_images_has_an_empty_row():
    counts = np.diag([5, 0, 5])
    counts[0, 2] = 3
    cells = {text.get_position()[::-1]: text.get_text() for text in figures.confusion_figure(counts).axes[0].texts}
    assert cells == {(0, 0): "5\n62.5 %", (0, 2): "3\n37.5 %", (2, 2): "5\n100.0 %"}


def test_misclassified_are_ordered_by_confidence(digits, probabilities, confidences, correct):
    order = figures.misclassified_order(digits[1], probabilities)
    assert set(order) == set(np.flatnonzero(~correct))
    assert (np.diff(confidences[order]) <= 0).all()


def test_correct_ones_are_ordered_from_the_least_confident(digits, probabilities, confidences, correct):
    order = figures.correct_order(digits[1], probabilities)
    assert set(order) == set(np.flatnonzero(correct))
    assert (np.diff(confidences[order]) >= 0).all()


def test_gallery_captions_say_the_truth_the_prediction_and_its_probability():
    images = np.zeros((2, 28, 28), np.uint8)
    probabilities = np.full((2, 10), 0.01)
    probabilities[:, 9] = 0.91
    figure = figures.gallery_figure(images, np.array([4, 9]), probabilities, title="Digits")
    assert captions(figure) == ["true 4, read as 9\n91.0 %", "9\n91.0 %"]
    named = figures.gallery_figure(images, np.array([4, 9]), probabilities, title="Things", class_names=FASHION)
    assert captions(named) == ["true Coat\nread as Ankle boot\n91.0 %", "Ankle boot\n91.0 %"]


def test_captions_say_where_an_image_is_found(digits, probabilities):
    figure = gallery(digits, probabilities, np.array([7, 3]), places=["test[7]", "test[3]"])
    assert [caption.splitlines()[-1] for caption in captions(figure)] == ["test[7]", "test[3]"]


def test_calibration_bars_are_the_intervals_of_the_bins(confidences, correct):
    figure = calibration(confidences, correct, num_bins=10)
    counts, confidence, accuracy = reliability_bins(confidences, correct, 10)
    drawn_bars = [bar.get_segments()[0] for bar in figure.axes[0].collections]
    assert len(drawn_bars) == (counts > 0).sum()
    for bar, at in zip(drawn_bars, np.flatnonzero(counts), strict=True):
        low, high = wilson_interval(round(accuracy[at] * counts[at]), counts[at])
        np.testing.assert_allclose(bar, [[100 * confidence[at], 100 * low], [100 * confidence[at], 100 * high]])


def test_gallery_shows_the_images_in_the_given_order_above_their_captions(digits, probabilities):
    order = figures.misclassified_order(digits[1], probabilities)[:11]
    panel = gallery(digits, probabilities, order).axes[0]
    picture = panel.images[0].get_array()
    for index, caption in zip(order, panel.texts, strict=True):
        x, y = caption.get_position()
        shown = picture[int(y) - 28 : int(y), int(x) - 13 : int(x) + 15]
        assert np.corrcoef(shown.ravel(), digits[0][index].ravel())[0, 1] == pytest.approx(1)


def test_gallery_stops_at_40_images_and_says_so(digits, probabilities):
    figure = gallery(digits, probabilities, np.arange(100))
    assert len(captions(figure)) == 40
    assert figure.get_suptitle() == "Digits (the first 40 of 100)"


def test_gallery_of_no_image_says_none(digits, probabilities):
    assert captions(gallery(digits, probabilities, np.array([], dtype=int))) == ["none"]


@pytest.mark.parametrize("class_names", [None, FASHION, LONG])
def test_gallery_captions_do_not_overlap(digits, probabilities, class_names):
    figure = gallery(digits, probabilities, np.arange(40), class_names=class_names)
    boxes = [text.get_window_extent() for text in drawn(figure).axes[0].texts]
    assert not any(box.overlaps(other) for box, other in pairwise(boxes))
    assert not any(box.overlaps(below) for box, below in zip(boxes, boxes[8:], strict=False))


def test_names_below_a_confusion_matrix_do_not_overlap():
    figure = figures.confusion_figure(np.eye(10, dtype=int), class_names=LONG)
    corners = [label.get_position() for label in drawn(figure).axes[0].get_xticklabels()]
    turned = {label.get_rotation() for label in figure.axes[0].get_xticklabels()}
    assert turned == {40}  # then lines of text lie beside one another, 0.77 inches apart
    assert len(set(corners)) == 10
    plain = figures.confusion_figure(np.eye(10, dtype=int), class_names=FASHION)
    boxes = [label.get_window_extent() for label in drawn(plain).axes[0].get_xticklabels()]
    assert not any(box.overlaps(other) for box, other in pairwise(boxes))


def test_reliability_bins_are_those_of_sklearn(confidences, correct):
    counts, confidence, accuracy = reliability_bins(confidences, correct, 15)
    expected_accuracy, expected_confidence = calibration_curve(correct, confidences, n_bins=15)
    np.testing.assert_allclose(accuracy[counts > 0], expected_accuracy)
    np.testing.assert_allclose(confidence[counts > 0], expected_confidence)
    assert counts.sum() == 2000


def test_calibration_figure_shows_the_bins_and_the_error(confidences, correct):
    counts, confidence, accuracy = reliability_bins(confidences, correct, 10)
    figure = calibration(confidences, correct, num_bins=10)
    expected = np.stack([confidence, accuracy], axis=1)[counts > 0] * 100
    np.testing.assert_allclose(line_data(figure, 0, "this network"), expected)
    assert line_data(figure, 0, "perfect calibration") == [(0, 0), (100, 100)]
    assert [bar.get_height() for bar in figure.axes[1].patches] == counts[:-1].tolist()
    assert figure.axes[1].get_yscale() == "log"
    assert figure.get_suptitle() == "Calibration of 2,000 images: expected calibration error 1.23 %"


EVERY_FIGURE = [
    "samples",
    "samples with augmentation and names",
    "curves of 1 epoch",
    "curves of 50 epochs",
    "confusion matrix",
    "confusion matrix with names",
    "confusion matrix without mistakes",
    "gallery of 40",
    "gallery with names and places",
    "gallery of 3 with names",
    "gallery of none",
    "confusion matrix with long names",
    "gallery with long names",
    "calibration",
    "calibration with certainty",
    "confusion matrix with long names, with source",
    "gallery with long names, with source",
    "calibration, with source",
]


@pytest.fixture(scope="module", params=EVERY_FIGURE)
def figure(request, digits, probabilities, confidences, correct) -> Figure:
    images, labels = digits
    counts = confusion_matrix(labels, probabilities.argmax(axis=1))
    wrong = figures.misclassified_order(labels, probabilities)
    makers = {
        "samples": lambda: figures.samples_figure(images, labels),
        "samples with augmentation and names": lambda: figures.samples_figure(
            images, labels, augmented=np.roll(images, 3, axis=2) / 255, class_names=FASHION
        ),
        "curves of 1 epoch": lambda: figures.curves_figure(history(1), best_epoch=0),
        "curves of 50 epochs": lambda: figures.curves_figure(history(50), best_epoch=30),
        "confusion matrix": lambda: figures.confusion_figure(counts),
        "confusion matrix with names": lambda: figures.confusion_figure(counts, class_names=FASHION),
        "confusion matrix without mistakes": lambda: figures.confusion_figure(np.diag(counts.diagonal())),
        "gallery of 40": lambda: gallery(digits, probabilities, wrong),
        "gallery with names and places": lambda: gallery(
            digits, probabilities, wrong, class_names=FASHION, places=[f"train[{40_000 + n}]" for n in wrong]
        ),
        "gallery of 3 with names": lambda: gallery(digits, probabilities, wrong[:3], class_names=FASHION),
        "gallery of none": lambda: gallery(digits, probabilities, wrong[:0]),
        "confusion matrix with long names": lambda: figures.confusion_figure(counts, class_names=LONG),
        "gallery with long names": lambda: gallery(digits, probabilities, wrong, class_names=LONG),
        "calibration": lambda: calibration(confidences, correct),
        "calibration with certainty": lambda: calibration(confidences.round(), correct),
    }
    for name, maker in list(makers.items()):
        makers[f"{name}, with source"] = lambda maker=maker: with_source(maker())
    return drawn(makers[request.param]())


def with_source(figure: Figure) -> Figure:
    figures.add_source(figure, SOURCE)
    assert "".join(figure.get_suptitle().split()).endswith("".join(SOURCE.split()))
    return figure


def drawn(figure: Figure) -> Figure:
    FigureCanvasAgg(figure).draw()
    return figure


def drawn_texts(figure: Figure) -> list[Text]:
    """All but the labels of ticks outside the view, which matplotlib keeps and does not draw."""
    left_out = set()
    for panel in figure.axes:
        for axis in (panel.xaxis, panel.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low <= tick.get_loc() <= high:
                    left_out |= {tick.label1, tick.label2}
    texts = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible())
    return [text for text in texts if text not in left_out and text.get_text().strip()]


def test_every_figure_is_a_picture_of_readme_size_that_is_not_blank(figure):
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255
    assert 1000 <= pixels.shape[1] <= 1400
    assert pixels.std() > 0.02


def test_every_text_of_every_figure_lies_inside_it(figure):
    frame = figure.bbox
    assert figure.get_suptitle()
    for text in drawn_texts(figure):
        box = text.get_window_extent()
        inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        assert inside, f"{text.get_text()!r} at {box.extents} leaves {frame.extents}"


def test_a_figure_is_saved_as_it_comes():
    png = io.BytesIO()
    figures.curves_figure(history(3)).savefig(png, format="png")
    png.seek(0)
    assert imread(png)[..., :3].std() > 0.02


def test_figures_need_neither_pyplot_nor_torch():
    code = "import sys, mnist_cli.report.figures; print({'torch', 'lightning', 'matplotlib.pyplot'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
