"""The clients that are run. Each has a folder in `scripts/clients`: its lock, and its checks."""

from collections.abc import Sequence
from dataclasses import dataclass

from patchbay.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Client:
    """A client. `name`: its folder, and what --only takes; `title`: its row in the table, its heading on the page."""

    name: str
    title: str


CLIENTS = (
    Client("openai-python", "OpenAI's SDK for Python, Azure's client too"),
    Client("openai-node", "OpenAI's SDK for Node"),
    Client("anthropic-python", "Anthropic's SDK for Python"),
    Client("langchain", "LangChain"),
    Client("llama-index", "LlamaIndex"),
    Client("instructor", "Instructor"),
    Client("pydantic-ai", "Pydantic AI"),
    Client("litellm", "LiteLLM"),
    Client("dspy", "DSPy"),
    Client("vercel-ai", "Vercel's AI SDK"),
    Client("inspect-ai", "Inspect"),
    Client("lm-eval", "lm-evaluation-harness"),
    Client("guidellm", "GuideLLM"),
    Client("claude-code", "Claude Code"),
    Client("codex", "Codex"),
)


def chosen(only: Sequence[str]) -> list[Client]:
    """The clients of these names; all where there are none. Raises ConfigError where one is unknown."""
    known = {client.name: client for client in CLIENTS}
    if unknown := set(only) - set(known):
        told = f"There is no client called {', '.join(sorted(unknown))}."
        raise ConfigError(told, hint=f"Known: {', '.join(known)}.")
    return [client for client in CLIENTS if not only or client.name in only]
