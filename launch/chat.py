"""The command `patchbay chat`: talk to a model in the terminal, or to two side by side."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.core.errors import ConfigError, PatchbayError
from patchbay.core.exit_codes import fail

if TYPE_CHECKING:
    from rich.console import RenderableType

    from patchbay.launch.chat_client import ChatAnswer, ChatClient, Message

_HELP = "Type a question, /reset to begin anew, /quit to leave."


def chat(  # noqa: PLR0913 - Typer makes an option of each parameter
    model: Annotated[str, typer.Argument(help="A model: an adapter, a revision (sql@3), a route, or the base.")],
    *,
    question: Annotated[str | None, typer.Option("--ask", "-q", help="A question; by default what is typed.")] = None,
    against: Annotated[str | None, typer.Option(help="A second model, whose answers stand beside the first's.")] = None,
    system: Annotated[str | None, typer.Option(help="A system prompt.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="The longest answer, in tokens.")] = 512,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="0 for the likeliest answer.")] = 0.0,
    url: Annotated[
        str | None,
        typer.Option(envvar="PATCHBAY_URL", help="A router's public port. Default: the configuration's, else 8080."),
    ] = None,
    key: Annotated[str | None, typer.Option(envvar="PATCHBAY_API_KEY", help="An API key, where there are any.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each answer as one JSON line.")] = False,
) -> None:
    """Talks to a model in the terminal: its answer streams, with the revision that gave it, tokens and times.

    Exit codes: 0 answered, 1 not, 2 an empty question.

    Example: patchbay chat sql --against demo-base -q "All orders in Berlin"
    """
    from patchbay.launch.admin_keys import public_url
    from patchbay.launch.chat_client import ChatClient

    models = [model, *([against] if against else [])]
    try:
        client = ChatClient(public_url(url), key)
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    talk = Talk(client, models, system, as_json=as_json)
    talk.parameters = {"max_tokens": max_tokens, "temperature": temperature}
    if question is not None or not sys.stdin.isatty():
        try:
            asked = _one_question(question)
        except PatchbayError as error:
            raise typer.Exit(fail(error)) from error
        raise typer.Exit(0 if talk.ask(asked) else 1)
    converse(talk)


def _one_question(given: str | None) -> str:
    """Returns the question that was given, or else stands in standard input. Raises ConfigError for an empty one."""
    asked = (sys.stdin.read() if given is None else given).strip()
    if not asked:
        raise ConfigError("The question is empty.", hint="Write one: patchbay chat MODEL --ask QUESTION.")
    return asked


def converse(talk: "Talk") -> None:
    """Asks what is typed, line by line, until the end of input or `/quit`."""
    typer.echo(_HELP)
    while True:
        try:
            asked = input("\n> ").strip()
        except (EOFError, KeyboardInterrupt):
            typer.echo()
            return
        if not asked:
            typer.echo(_HELP)
            continue
        if asked == "/quit":
            return
        if asked == "/reset":
            talk.reset()
        else:
            talk.ask(asked)


class Talk:
    """Conversation with one model, or with several that are asked the same.

    `models`: their names; `system`: the system prompt, None for none; `as_json`: prints lines of JSON.
    """

    def __init__(self, client: "ChatClient", models: Sequence[str], system: str | None, *, as_json: bool) -> None:
        self._client = client
        self._models = models
        self._system = system
        self._as_json = as_json
        self.parameters: dict[str, object] = {}
        self._histories: list[list[Message]] = []
        self.reset()

    def reset(self) -> None:
        """Forgets what was said."""
        begin: list[Message] = [{"role": "system", "content": self._system}] if self._system else []
        self._histories = [list(begin) for _ in self._models]

    def ask(self, question: str) -> bool:
        """Asks all models, and prints their answers as they come. Returns whether all answered."""
        for history in self._histories:
            history.append({"role": "user", "content": question})
        answers = asyncio.run(self._answers())
        for history, answer in zip(self._histories, answers, strict=True):
            if isinstance(answer, str):
                # So that the next question does not follow one that got no answer.
                history.pop()
            else:
                history.append({"role": "assistant", "content": answer.text})
        return not any(isinstance(answer, str) for answer in answers)

    async def _answers(self) -> "list[ChatAnswer | str]":
        """Returns each model's answer, or why there is none."""
        from rich.console import Console
        from rich.live import Live

        found: list[ChatAnswer | str] = ["" for _ in self._models]
        if self._as_json or not sys.stdout.isatty():
            await asyncio.gather(*(self._answer(place, found, lambda: None) for place in range(len(found))))
            if self._as_json:
                self._print_lines(found)
            else:
                Console().print(self._drawn(found))
            return found
        with Live(console=Console(), refresh_per_second=12, vertical_overflow="visible") as live:

            def show() -> None:
                live.update(self._drawn(found))

            await asyncio.gather(*(self._answer(place, found, show) for place in range(len(found))))
        return found

    async def _answer(self, place: int, found: "list[ChatAnswer | str]", show: Callable[[], None]) -> None:
        from patchbay.launch.chat_client import ChatFailed

        def said(answer: "ChatAnswer") -> None:
            found[place] = answer
            show()

        try:
            found[place] = await self._client.ask(self._models[place], self._histories[place], said, **self.parameters)
        except ChatFailed as error:
            found[place] = error.message
        show()

    def _print_lines(self, found: "Sequence[ChatAnswer | str]") -> None:
        from patchbay.adapters.commands.output import print_json_line

        for model, answer in zip(self._models, found, strict=True):
            what = "error" if isinstance(answer, str) else "answer"
            print_json_line({"asked": model, what: answer})

    def _drawn(self, found: "Sequence[ChatAnswer | str]") -> "RenderableType":
        from rich.table import Table

        if len(found) == 1:
            return _drawn_answer(found[0])
        table = Table(*self._models, expand=True, show_lines=False)
        table.add_row(*(_drawn_answer(answer) for answer in found))
        return table


def _drawn_answer(answer: "ChatAnswer | str") -> "RenderableType":
    """Draws an answer with its figures below, or why there is none."""
    from rich.console import Group
    from rich.text import Text

    if isinstance(answer, str):
        return Text(_printable(answer), style="red")
    figures = [answer.model, answer.replica, f"{answer.tokens} tokens" if answer.tokens else ""]
    figures += [f"first after {answer.ttft_s:.2f} s", f"{answer.seconds:.2f} s in all"]
    figures += [f"{name}: {value}" for name, value in answer.notes.items() if name in ("guards", "fallback", "cache")]
    line = _printable(" · ".join(figure for figure in figures if figure))
    return Group(Text(_printable(answer.text)), Text(line, style="dim"))


def _printable(text: str) -> str:
    """Returns `text` without what a terminal would obey: a model may write anything."""
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")
