"""How something that was sent is refused: a status that tells the sender what to do, and a sentence."""


class RefusedError(Exception):
    """What came cannot be taken. ``status`` is of HTTP; ``reason`` is one word for a counter.

    The sentence tells what is wrong and never repeats a value: it may be a person's.
    """

    def __init__(self, status: int, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.reason = reason
