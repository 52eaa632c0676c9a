"""`patchbay chat` sends no empty question."""

from typing import Any

import pytest
from typer.testing import CliRunner

from patchbay.command import build_app
from patchbay.launch import chat
from patchbay.launch.chat import Talk
from patchbay.launch.chat_client import ChatClient


class NotedTalk(Talk):
    """Conversation in which every question is answered, and noted."""

    def __init__(self) -> None:
        super().__init__(ChatClient("http://127.0.0.1:9"), ["sql"], None, as_json=False)
        self.asked: list[str] = []

    def ask(self, question: str) -> bool:
        self.asked.append(question)
        return True


def test_an_empty_line_is_asked_again_and_not_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter(["", "   ", "All orders", "", "/quit"])
    monkeypatch.setattr("builtins.input", lambda _prompt: next(typed))
    talk = NotedTalk()
    chat.converse(talk)
    assert talk.asked == ["All orders"]
    assert capsys.readouterr().out.count("Type a question") == 4


@pytest.mark.parametrize(("arguments", "typed"), [((), "\n"), ((), ""), (("--ask", " "), "")])
def test_an_empty_question_of_a_script_is_refused_before_it_is_sent(arguments: tuple[str, ...], typed: str) -> None:
    done: Any = CliRunner().invoke(build_app(), ["chat", "sql", "--url", "http://127.0.0.1:9", *arguments], input=typed)
    assert done.exit_code == 2
    assert "The question is empty." in done.stderr
