"""Exceptions that mean something to a caller beyond the built-in ones."""


class DataError(ValueError):
    """A file or data set is missing, damaged or not what it should be.

    The command line ends with exit code 3 on it. Wrong arguments are plain ``ValueError`` or
    ``TypeError``.
    """
