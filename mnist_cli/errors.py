"""The one exception that reports a mistake of the user."""


class UserError(Exception):
    """A mistake that the user can correct: one sentence that names what is wrong, the value and the remedy.

    The command line prints it without a traceback and exits with status 2.
    """


class DivergedError(UserError):
    """The network has diverged: its loss is NaN or infinite."""
