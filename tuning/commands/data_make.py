"""The commands `augment` and `synthesize` of `patchbay data`, which make rows."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchbay.adapters.commands.output import console, table
from patchbay.adapters.commands.session import AsJson, Config
from patchbay.tuning.commands.data_session import NewName, Reference, counting, data_session, made_from, show_made

if TYPE_CHECKING:
    from patchbay.tuning.data.synthesizing import SynthesisPlan
    from patchbay.tuning.data.teacher import TeacherPlace

_Key = Annotated[str | None, typer.Option(envvar="PATCHBAY_API_KEY", help="The endpoint's API key.", show_envvar=True)]
_Schema = Annotated[Path | None, typer.Option(help="A JSON schema that answers must meet.")]
_Pattern = Annotated[str | None, typer.Option(help="A regular expression that whole answers must match.")]
_Share = Annotated[float, typer.Option(help="The most of all rows that may be synthetic, below 1.")]


def augment(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    reference: Reference,
    way: Annotated[
        list[str] | None, typer.Option(help="case, typo, whitespace or paraphrase; repeat it. Default: all.")
    ] = None,
    copies: Annotated[int, typer.Option(min=1, max=10, help="New rows for each one of train.")] = 1,
    seed: Annotated[int, typer.Option(help="Another seed changes otherwise.")] = 0,
    name: NewName = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Adds rows to train that ask the same in other writing, offline: other case, typing errors, spacing, phrases.
    Answers, validation and test stay as they are.

    Example: patchbay data augment tickets@3 --way typo --way case
    """
    from patchbay.core.errors import ConfigError
    from patchbay.core.names import meant
    from patchbay.tuning.data.augmenting import WAYS, augmented

    with data_session(config) as session:
        for one in way or ():
            if one not in WAYS:
                raise ConfigError(f"There is no way '{one}' ({meant(one, WAYS)}).")
        record = session.record(reference)
        with session.data.writing() as writer:
            for split, row in session.data.rows(record):
                writer.add(row, split)
            train = (row for _, row in session.data.rows(record, "train"))
            made = 0
            for row in augmented(train, way or tuple(WAYS), copies=copies, seed=seed):
                writer.add(row)
                made += 1
            found, created = session.keep(
                writer, name or record.draft.name, made_from(record, notes={"added": str(made)})
            )
        show_made(found, created, as_json=as_json, added=made)


def synthesize(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    reference: Reference,
    teacher: Annotated[str, typer.Option(metavar="URL", help="An OpenAI-compatible endpoint, such as our router's.")],
    model: Annotated[str, typer.Option(help="The teacher's name there: a route, a revision or the base.")],
    rows: Annotated[int, typer.Option(min=1, help="New rows, at most.")] = 100,
    max_share: _Share = 0.5,
    schema: _Schema = None,
    pattern: _Pattern = None,
    near: Annotated[float, typer.Option(min=0.1, max=1, help="Similarity from which a row is a copy.")] = 0.7,
    seed: Annotated[int, typer.Option(help="Another seed shows the teacher other examples.")] = 0,
    api_key: _Key = None,
    name: NewName = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Has a teacher write rows after the pattern of those in train. Those too long, cut off, refusing, not of the form,
    too like another, or with personal data or secrets are not taken; the rest are tagged 'synthetic'.

    Example: patchbay data synthesize tickets@3 --teacher http://127.0.0.1:8080 --model big --rows 50
    """
    from patchbay.tuning.data.synthesizing import SynthesisPlan
    from patchbay.tuning.data.teacher import TeacherPlace

    with data_session(config) as session:
        plan = SynthesisPlan(
            rows=rows, max_share=max_share, near=near, seed=seed, pattern=_compiled(pattern), schema=_schema(schema)
        )
        place = TeacherPlace(url=teacher, model=model, api_key=api_key)
        record = session.record(reference)
        seeds = [row for _, row in session.data.rows(record, "train")]
        synthesis = _Made(plan, place)
        with session.data.writing() as writer, counting("writing", rows, silent=as_json) as progress:
            for split, row in session.data.rows(record):
                writer.add(row, split)
            for row in synthesis.rows(seeds):
                writer.add(row)
                progress(1)
            notes = {"synthetic": f"{synthesis.passed} of {model}"}
            found, created = session.keep(writer, name or record.draft.name, made_from(record, notes=notes))
        if not as_json and synthesis.refused:
            lines = sorted(synthesis.refused.items(), key=lambda item: -item[1])
            console().print(table("Not taken", ("reason", "number"), lines))
        show_made(found, created, as_json=as_json, passed=synthesis.passed, refused=synthesis.refused)


class _Made:
    """Rows that a teacher makes. `passed`: how many so far; `refused`: how many were not taken, by reason."""

    def __init__(self, plan: "SynthesisPlan", place: "TeacherPlace") -> None:
        self._plan = plan
        self._place = place
        self.passed = 0
        self.refused: dict[str, int] = {}

    def rows(self, seeds: list[Any]) -> Any:
        """Yields rows that pass. Raises ConfigError, DataError, UpstreamFailed."""
        from patchbay.tuning.data.guarding import compiled_guards
        from patchbay.tuning.data.synthesizing import Synthesis
        from patchbay.tuning.data.teacher import Teacher

        with Teacher(self._place) as teacher:
            synthesis = Synthesis(
                self._plan, seeds, lambda messages, seed: teacher.ask(messages, seed=seed), compiled_guards()
            )
            for row in synthesis.run():
                self.passed += 1
                yield row
            self.refused = dict(synthesis.refused)


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    from patchbay.core.errors import ConfigError

    try:
        return re.compile(pattern, re.DOTALL) if pattern is not None else None
    except re.error as error:
        raise ConfigError(f"--pattern {pattern}: {error}.") from error


def _schema(path: Path | None) -> Any:
    import json

    from patchbay.core.errors import ConfigError
    from patchbay.core.schema.compiled import compile_schema

    if path is None:
        return None
    try:
        return compile_schema(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is no JSON schema: {error}.") from error
