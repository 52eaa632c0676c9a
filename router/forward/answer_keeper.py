"""The protocol of whoever keeps an answer before its client has the end of it."""

from typing import Protocol


class AnswerKeeper(Protocol):
    """Keeper of one answer, as it leaves the guards. It may change what goes out, and holds back the end until it is
    done."""

    async def document(self, answer: bytes) -> bytes:
        """Takes an answer that is one document, and returns it as it goes out."""

    def pass_on(self, events: bytes) -> bytes:
        """Takes a stream's next whole events, and returns those that may go out now."""

    async def last(self, events: bytes) -> bytes:
        """Takes a stream's last events, and returns what is still to go out."""
