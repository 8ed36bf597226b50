"""The one error of this package."""


class Unusable(Exception):
    """A setting or a model that cannot be used.

    `code` and `facts` are those of a row in the table of problems (speech/errors.py, which this package may not import); whoever talks
    to the user turns it into `Problem(code, **facts)`.
    """

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts
