"""The images of all data sets: their size, the number of classes, and the names of the classes."""

SIDE = 28  # width and height of an image, in pixels
NUM_CLASSES = 10

_CLASS_NAMES = {
    "FashionMNIST": ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"],
    "KMNIST": ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
}


def class_names(dataset: str) -> list[str]:
    """What the ten classes of a data set are called: digits, except for clothes and Japanese characters."""
    return _CLASS_NAMES.get(dataset, [str(digit) for digit in range(NUM_CLASSES)])
