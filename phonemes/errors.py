"""The one error that stages show to the user without a traceback."""


class InputError(ValueError):
    """Something the user gave cannot be used; the message says what, where and the fix."""
