"""The images of all data sets: their size, the number of classes, and the names of the classes."""

SIDE = 28  # width and height of an image, in pixels
DIGIT_SIDE = 20  # longest side of an MNIST digit, in pixels
NUM_CLASSES = 10
MNIST_MEAN, MNIST_STD = 0.1307, 0.3081  # of the pixels of MNIST's training images, in [0, 1]

_CLASS_NAMES = {
    "FashionMNIST": ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"],
    "KMNIST": ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
}


def class_names(dataset: str) -> list[str]:
    """What the ten classes of a data set are called: digits, except for clothes and Japanese characters."""
    return _CLASS_NAMES.get(dataset, [str(digit) for digit in range(NUM_CLASSES)])
