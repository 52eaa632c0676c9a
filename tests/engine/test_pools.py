"""Pools of bases that embed and that score, beside the base with the adapters, held against transformers."""

import socket
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from openai import BadRequestError, OpenAI
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, BertConfig

from patchbay.launch.demo import demo_sections
from patchbay.tuning.demo.build import DemoModels
from tests.engine.conftest import TOKEN, Stack, ready_stack, start_stack

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parent.parent.parent
MINILM = ROOT / "models" / "all-MiniLM-L6-v2"
QUERY = "How do I reset my password?"
DOCUMENTS = [
    "The cat sat on the mat.",
    "Open the settings and choose a new password.",
    "Our office is closed on Sundays.",
    "If you forgot your login, click on 'reset' and we send you a link.",
]
# Of single precision, over six layers.
CLOSE = 2e-5


@dataclass(frozen=True)
class Oracle:
    """The two models in transformers. `folder`: the scorer's."""

    embedder: Any
    tokenizer: Any
    scorer: Any
    folder: Path

    def embed(self, texts: list[str]) -> Any:
        """Returns [texts, 384]: the mean of the tokens' last states, of length 1, as the model's own files say."""
        tokens = self.tokenizer(texts, padding=True, return_tensors="pt")
        with torch.inference_mode():
            states = self.embedder(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1)
        return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1).numpy()

    def scores(self, query: str, documents: list[str]) -> Any:
        """Returns [documents]: what the model says of each with the query."""
        tokens = self.tokenizer([query] * len(documents), documents, padding=True, return_tensors="pt")
        with torch.inference_mode():
            return torch.sigmoid(self.scorer(**tokens).logits[:, 0]).numpy()


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    """The real embedder, and a small model of random weights that scores."""
    subprocess.run([ROOT / "scripts" / "embedder", MINILM], check=True)
    tokenizer, folder = AutoTokenizer.from_pretrained(MINILM), tmp_path_factory.mktemp("scorer")
    torch.manual_seed(7)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    config = BertConfig(vocab_size=tokenizer.vocab_size, num_labels=1, initializer_range=0.2, **sizes)
    scorer = AutoModelForSequenceClassification.from_config(config).eval()
    for saved in (scorer, tokenizer):
        saved.save_pretrained(folder)
    return Oracle(AutoModel.from_pretrained(MINILM).eval(), tokenizer, scorer, folder)


def three_free_ports() -> int:
    """The first of three ports in a row that nobody listens on."""

    def free(port: int) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", port)) != 0

    return next(port for port in count(19_301, 3) if all(map(free, range(port, port + 3))))


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory, demo_models: DemoModels, oracle: Oracle) -> Iterator[Stack]:
    """The demo, with a pool of each kind."""
    embedder = {"model": str(MINILM), "name": "minilm", "task": "embed", "dtype": "float32"}
    scorer = {"model": str(oracle.folder), "name": "ranker", "task": "score", "dtype": "float32"}
    first, quick = three_free_ports(), {"enforce_eager": True}
    running = start_stack(
        tmp_path_factory.mktemp("pools"),
        demo_models,
        pools={"search": {"base": embedder, "engine": quick}, "rank": {"base": scorer, "engine": quick}},
        replicas={"count": 1, "first_port": first, "token": TOKEN},
        routes=demo_sections(demo_models)["routes"] | {"find": {"model": "minilm", "pool": "search"}},
    )
    running.replica_url = f"http://127.0.0.1:{first}"
    with ready_stack(running):
        yield running


@pytest.fixture
def asking(pooled: Stack) -> Iterator[OpenAI]:
    with pooled.client() as made:
        yield made


def post(stack: Stack, path: str, **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.post(f"{stack.url}{path}", json=fields, timeout=60).raise_for_status().json()
    return answer


@pytest.mark.parametrize("model", ["minilm", "find"])
@pytest.mark.parametrize("encoding", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}])
def test_embeddings_are_those_of_transformers(
    asking: OpenAI, oracle: Oracle, model: str, encoding: dict[str, Any]
) -> None:
    answer = asking.embeddings.create(model=model, input=DOCUMENTS, **encoding)
    found = [one.embedding for one in answer.data]
    if encoding.get("encoding_format") == "base64":
        # Asked for by name, the client leaves it as it came.
        found = [np.frombuffer(b64decode(str(one)), np.float32).tolist() for one in found]
    assert [one.index for one in answer.data] == [0, 1, 2, 3]
    np.testing.assert_allclose(np.array(found), oracle.embed(DOCUMENTS), atol=CLOSE)
    assert answer.usage.prompt_tokens == sum(len(oracle.tokenizer(text)["input_ids"]) for text in DOCUMENTS)


def test_texts_are_ranked_by_what_they_mean(pooled: Stack, oracle: Oracle) -> None:
    fields = {"model": "minilm", "query": QUERY, "documents": DOCUMENTS}
    first, second = (post(pooled, path, **fields) for path in ("/v1/rerank", "/v2/rerank"))
    assert first["results"] == second["results"]
    assert [one["index"] for one in first["results"]][:2] == [1, 3]
    [query], documents = oracle.embed([QUERY]), oracle.embed(DOCUMENTS)
    for one in first["results"]:
        assert one["relevance_score"] == pytest.approx(float(documents[one["index"]] @ query), abs=CLOSE)
    assert len(post(pooled, "/v1/rerank", **fields, top_n=1)["results"]) == 1


@pytest.mark.parametrize("names", [("queries", "documents"), ("text_1", "text_2")])
def test_a_model_that_scores_reads_both_texts_at_once(pooled: Stack, oracle: Oracle, names: tuple[str, str]) -> None:
    answer = post(pooled, "/v1/score", model="ranker", **dict(zip(names, (QUERY, DOCUMENTS), strict=True)))
    found = [one["score"] for one in answer["data"]]
    np.testing.assert_allclose(found, oracle.scores(QUERY, DOCUMENTS), atol=CLOSE)
    assert max(found) - min(found) > 100 * CLOSE


def test_adapters_are_where_they_were_and_nothing_is_put_into_pools(pooled: Stack, asking: OpenAI) -> None:
    chat = asking.chat.completions.create(
        model="sql", messages=[{"role": "user", "content": "List all users."}], max_tokens=8, temperature=0
    )
    assert chat.choices[0].message.content
    models = {model.id: model for model in asking.models.list()}
    assert {"minilm", "ranker", "sql", "find"} <= models.keys()
    assert models["minilm"].to_dict()["max_model_len"] == 256
    rooms = {}
    for number in range(3):
        with pooled.replica(number) as replica:
            status = replica.get("/internal/status").raise_for_status().json()
        rooms[status["base"]["name"]] = (status["slots"]["cpu"], len(status["revisions"]))
    assert rooms["minilm"] == rooms["ranker"] == (0, 0)


def test_what_a_base_cannot_do_is_said(asking: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="The base model 'minilm' cannot generate"):
        asking.chat.completions.create(model="minilm", messages=[{"role": "user", "content": "hi"}])
    with pytest.raises(BadRequestError, match="cannot embed"):
        asking.embeddings.create(model="sql", input="hi")


def test_a_text_beyond_the_context_is_refused_as_openai_does(asking: OpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        asking.embeddings.create(model="minilm", input="word " * 600)
    assert refused.value.code == "context_length_exceeded"
