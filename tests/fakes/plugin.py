"""A judge of one's own, as a plug-in has it."""

from patchbay.guards.judges.judge import JudgeVerdict, TextOrigin

opened: list[str] = []
closed: list[str] = []


class WordJudge:
    """Flags texts that hold a word."""

    def __init__(self, word: str) -> None:
        self._word = word

    async def start(self) -> None:
        """Notes it."""
        opened.append(self._word)

    async def prompt(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        """Whether the word is there."""
        return JudgeVerdict(self._word in text, "WORD")

    async def answer(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        """Whether the word is there."""
        return JudgeVerdict(self._word in text, "WORD")

    async def close(self) -> None:
        """Notes it."""
        closed.append(self._word)
