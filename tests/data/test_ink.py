"""What is ink: under shadows, at the border, on every width of pen, whatever lies beside it."""

import cv2
import numpy as np
import pytest

from mnist_cli.data.ink import PictureError, find_strokes, seems_several, thicken


def find_ink(colours):
    return thicken(find_strokes(colours))


def sheet(height=120, width=100, paper=0.85):
    return np.full((height, width, 1), paper, np.float32)


def draw_two(colours, ink=0.1, thickness=5, at=(0, 0)):
    """A two of 60 x 40 pixels, drawn into the colours."""
    points = np.array([(32, 42), (40, 30), (55, 30), (62, 42), (55, 58), (32, 88), (68, 88)]) + at
    cv2.polylines(colours, [points.astype(np.int32)], False, ink, thickness)
    return colours


def is_close(ink, expected):
    """Whether two ink maps agree in all but the soft edges of the strokes."""
    return np.abs(ink - expected).mean() < 0.1 * expected.mean()


@pytest.fixture
def plain():
    return find_ink(draw_two(sheet()))


def test_the_edge_of_a_shadow_through_the_digit_is_no_ink(plain):
    photo = draw_two(sheet())
    photo[:, 50:] *= 0.45
    assert is_close(find_ink(photo), plain)


@pytest.mark.parametrize("strip", [np.s_[:, :12], np.s_[:, -9:], np.s_[:14], np.s_[-8:]])
@pytest.mark.parametrize("light", [0.05, 1.0])
def test_the_table_beside_the_sheet_is_no_ink(plain, strip, light):
    photo = draw_two(sheet())
    photo[strip] = light
    assert is_close(find_ink(photo), plain)


def test_a_reflection_on_the_board_is_no_ink(plain):
    y, x = np.mgrid[0:120, 0:100]
    board = sheet(paper=0.6) + 0.3 * np.exp(-((y - 40) ** 2 + (x - 60) ** 2) / 400).astype(np.float32)[..., None]
    assert is_close(find_ink(draw_two(board)), plain)


def test_squares_of_the_paper_are_weaker_than_ink(plain):
    paper = sheet()
    paper[::30] = paper[:, ::25] = 0.7
    found = find_ink(draw_two(paper))
    assert found[:20, :20].max() < 0.3
    assert np.abs(found - plain).mean() < 0.35 * plain.mean()


@pytest.mark.parametrize("thickness", [1, 2, 5, 12, 20])
@pytest.mark.parametrize("ink", [0.0, 1.0])
def test_a_large_zero_is_a_ring_whatever_its_pen(thickness, ink):
    colours = sheet(paper=1 - ink)
    cv2.ellipse(colours, (50, 60), (30, 45), 0, 0, 360, ink, thickness)
    found = find_ink(colours)
    inked = np.argwhere(found > 0.5)
    middle = np.mean([inked.min(0), inked.max(0)], 0).round().astype(int)
    assert found[tuple(middle)] == 0
    assert found.max() == 1
    assert 1.2 < np.divide(*np.ptp(inked, 0)) < 1.7  # 90 x 60 and the pen


@pytest.mark.parametrize("ink", [0.1, 0.95])
@pytest.mark.parametrize("cut", [np.s_[27:92, 29:72], np.s_[28:105, 30:90], np.s_[15:91, 15:71]])
def test_a_digit_that_is_cut_out_at_its_edges_is_whole(ink, cut):
    whole = find_ink(draw_two(sheet(paper=0.5), ink))
    assert is_close(find_ink(draw_two(sheet(paper=0.5), ink)[cut]), whole[cut])


@pytest.mark.parametrize("size", [60, 300, 512])
def test_a_line_of_one_pixel_becomes_as_wide_as_a_pen_on_a_sheet_of_any_size(size):
    colours = np.ones((size, size, 1), np.float32)
    colours[size // 10 : -size // 10, size // 2] = 0
    found = find_ink(colours)
    height, width = (np.ptp(np.flatnonzero((found > 0.5).any(axis))) + 1 for axis in (1, 0))
    assert 6.5 < height / width < 12  # 20 to 2.5, and the round ends


def test_ink_of_the_papers_own_brightness_is_found_by_its_colour():
    red, green = np.array([0.8, 0.2, 0.2], np.float32), np.array([0.2, 0.68, 0.32], np.float32)
    marks = draw_two(sheet(paper=0), ink=1)
    assert is_close(find_ink(red * marks + green * (1 - marks)), find_ink(marks))


@pytest.mark.parametrize(
    "places",
    [
        [(0, 0), (60, 8)],
        [(0, 0), (40, 20)],  # so close that their columns overlap, as of slanted digits
        [(60 * number, 0) for number in range(8)],  # thickened, strokes of a long number grow together
        [(0, 0), (0, 100), (60, 0), (60, 100)],  # two lines
    ],
)
def test_a_number_is_not_taken_for_a_digit(places):
    colours = sheet(height=220, width=600)
    for at in places:
        draw_two(colours, at=at, thickness=2)
    assert seems_several(find_strokes(colours))


@pytest.mark.parametrize(
    "mark",
    [
        None,
        ((100, 60), (104, 80)),  # a dash beside it
        ((30, 110), (70, 110)),  # a bar below it
        ((50, 110), (50, 170)),  # a piece as tall as it is, below it
    ],
)
def test_one_digit_and_a_mark_are_no_number(mark):
    colours = draw_two(sheet(height=220, width=200))
    if mark:
        cv2.line(colours, *mark, 0.1, 5)
    assert not seems_several(find_strokes(colours))


def test_a_digit_of_mnist_hardly_ever_seems_several(test_digits):
    strokes = (find_strokes(image[..., None] / 255) for image in test_digits[0].numpy()[:2000].astype(np.float32))
    assert not any(map(seems_several, strokes))  # 7 of the 60,000 training images do


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 1), (40, 1, 3), (2, 3, 3), (3, 3, 1), (4, 400, 1)])
@pytest.mark.parametrize("seed", range(3))
def test_noise_of_any_shape_is_ink_in_its_range_or_no_digit(shape, seed):
    noise = np.random.default_rng(seed).random(shape, np.float32)
    try:
        ink = find_ink(noise)
    except PictureError:
        return
    assert ink.dtype == np.float32
    assert 0 <= ink.min() <= ink.max() <= 1
