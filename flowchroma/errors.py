"""The one exception that a user is meant to read."""


class UserError(Exception):
    """Something the user can mend: bad input, a missing file, weights that do not fit.

    Its text is one line that says what is wrong and what to do. Entry points print it without a traceback and exit
    with `code`: 1, or 2 where an option itself is wrong.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def user_error_behind(error: BaseException | None) -> UserError | None:
    """The `UserError` that an exception is or was raised from, as Hydra wraps what a constructor raises; else None."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__
    return error
