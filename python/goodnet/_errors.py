"""What can go wrong."""


class GoodnetError(Exception):
    """The job failed. The text is one line: what was expected, what was found, what to do.

    `exit_code` is the command's exit code; none where no command ran.
    """

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class BadInput(GoodnetError):
    """A file, an image or a value is not usable."""


class GoodnetWarning(UserWarning):
    """A warning of the command."""
