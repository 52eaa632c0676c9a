"""The parity check of a replica: an adapter's own rows, scored by the engine before any request is.

It runs once for a revision's digest, when it is first loaded, over the base that serves here.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.config import read_config
from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.config import MAX_RANK
from patchbay.adapters.contents import WEIGHTS_FILE
from patchbay.adapters.digest import file_hash
from patchbay.adapters.parity.comparing import Measured
from patchbay.adapters.parity.digests import template_digest
from patchbay.adapters.parity.file import ParityFile, ParityRow
from patchbay.adapters.parity.hypotheses import ServingFacts
from patchbay.adapters.parity.reading import read_parity
from patchbay.adapters.parity.verdict import Verdict, judge, judge_rendering
from patchbay.core.errors import AdapterError, AdapterRejected
from patchbay.server.engine import EngineLora, Scorer
from patchbay.server.metrics import ServerMetrics
from patchbay.server.staging import StagedAdapter

_log = logging.getLogger(__name__)
ParityMode = Literal["off", "warn", "refuse"]
# What a check may take: tokens that are scored twice, and rows that are in the engine at a time. Fewer rows than that
# prove nothing.
_MOST_TOKENS = 2048
_AT_A_TIME, _FEWEST_ROWS = 4, 4
_MOST_KNOWN = 4096
_Scores = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class ParityRules:
    """The terms of the check. `base`: the layout of the base that serves, None where its files do not show it;
    `time_limit_s`: after so many seconds it goes by the rows that are scored."""

    mode: ParityMode
    limits: FolderLimits
    base: BaseLayout | None = None
    time_limit_s: float = 120


class ParityCheck:
    """The parity check of one engine, with what it has found out of each revision's digest."""

    def __init__(self, scorer: Scorer, rules: ParityRules, metrics: ServerMetrics) -> None:
        self._scorer = scorer
        self._rules = rules
        self._metrics = metrics
        self._known: dict[str, Verdict] = {}

    async def prove(self, lora: EngineLora, staged: StagedAdapter) -> str | None:
        """Compares what the loaded `lora` answers with its parity file. Returns what was found, None where it has no
        file or nothing is to be compared.

        Where too few rows are scored in time, nothing is proven or refused: it is repeated with the next load. Raises
        AdapterRejected where the adapter does not serve as it was trained and that is to be refused.
        """
        if self._rules.mode == "off":
            return None
        verdict = self._known.get(staged.digest)
        if verdict is None:
            file = await asyncio.to_thread(self._read, staged.folder)
            if file is None:
                return None
            verdict = await self._judge(lora, staged, file)
            if verdict is None:
                self._metrics.parity.labels(verdict="unproven").inc()
                _log.warning("%s: its parity was not proven within %g s.", lora.name, self._rules.time_limit_s)
                return "not proven: the engine was too busy"
            self._remember(lora, staged, verdict)
        return self._answer(lora, verdict)

    def _answer(self, lora: EngineLora, verdict: Verdict) -> str:
        if verdict.passed or self._rules.mode == "warn":
            return verdict.words
        raise AdapterRejected(f"{lora.name}: {verdict.words}", param="model", hint=verdict.hint)

    def _remember(self, lora: EngineLora, staged: StagedAdapter, verdict: Verdict) -> None:
        while len(self._known) >= _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[staged.digest] = verdict
        self._metrics.parity.labels(verdict=verdict.cause or "passed").inc()
        _log.log(logging.INFO if verdict.passed else logging.WARNING, "%s: %s", lora.name, verdict.words)

    async def _judge(self, lora: EngineLora, staged: StagedAdapter, file: ParityFile) -> Verdict | None:
        """Judges by the rows that are scored in time, None where those are too few."""
        facts = await asyncio.to_thread(self._facts, file, staged)
        if (refusal := judge_rendering(file, facts)) is not None:
            return refusal
        rows = within_budget(file.rows, _MOST_TOKENS)
        scored = await self._scored(rows, lora)
        if len(scored) < min(_FEWEST_ROWS, len(rows)):
            return None
        done = sorted(scored)
        measured = Measured(
            trained_plain=[rows[number].plain for number in done],
            trained=[rows[number].adapted for number in done],
            served_plain=[scored[number][0] for number in done],
            served=[scored[number][1] for number in done],
        )
        return judge(file, facts, measured)

    def _read(self, folder: Path) -> ParityFile | None:
        tokenizer = self._rules.base.tokenizer if self._rules.base is not None else None
        try:
            return read_parity(folder, vocabulary=tokenizer.size if tokenizer is not None else None)
        except AdapterError as error:
            raise AdapterRejected(error.message, param="model", hint=error.hint) from error

    def _facts(self, file: ParityFile, staged: StagedAdapter) -> ServingFacts:
        base, settings = self._rules.base, read_config(staged.folder, max_rank=MAX_RANK, limits=self._rules.limits)
        return ServingFacts(
            rendered=[self._scorer.render(row) for row in file.rows],
            max_length=self._scorer.max_length,
            modules={module: settings.scale_of(module) for module in staged.summary.modules},
            base=base.fingerprint if base is not None else None,
            vocabulary=self._scorer.vocabulary(),
            template=template_digest(base.chat_template) if base is not None and base.chat_template else None,
            weights=file_hash(staged.folder / WEIGHTS_FILE),
        )

    async def _scored(self, rows: Sequence[ParityRow], lora: EngineLora) -> dict[int, _Scores]:
        """Scores rows without `lora` and with it, a few at a time, so that what clients ask meanwhile has its turn.

        Returns the scores of those that were done in time, by their places.
        """
        turns, scored = asyncio.Semaphore(_AT_A_TIME), dict[int, _Scores]()

        async def score(number: int, ids: Sequence[int]) -> None:
            async with turns:
                plain = await self._scorer.logprobs(ids, None)
                scored[number] = plain, await self._scorer.logprobs(ids, lora)

        try:
            async with asyncio.timeout(self._rules.time_limit_s), asyncio.TaskGroup() as group:
                for number, row in enumerate(rows):
                    group.create_task(score(number, row.ids))
        except TimeoutError:
            _log.info("%s: %d of %d parity rows were scored in time.", lora.name, len(scored), len(rows))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return scored


def within_budget(rows: Sequence[ParityRow], tokens: int) -> tuple[ParityRow, ...]:
    """Returns the first rows that have at most so many tokens together, at least one."""
    kept: list[ParityRow] = []
    total = 0
    for row in rows:
        total += len(row.ids)
        if kept and total > tokens:
            break
        kept.append(row)
    return tuple(kept)
