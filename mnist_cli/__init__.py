"""A LightningCLI application that learns to read handwritten digits."""

from importlib.metadata import version

__version__ = version("mnist-cli")


class UserError(Exception):
    """A mistake that the user can mend: one sentence that names what is wrong, the value and the remedy.

    The command line prints it without a traceback and exits with status 2.
    """
