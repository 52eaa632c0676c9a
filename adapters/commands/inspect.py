"""The commands `list`, `show`, `diff`, `verify`, `audit` and `recommend` of `patchbay adapters`, which change
nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.output import activity, console, facts, moment, print_json, size, table
from patchbay.adapters.commands.push import provenance_facts
from patchbay.adapters.commands.session import ALIVE_S, AsJson, Config, Session, opened, tell
from patchbay.adapters.workdir import workdir

if TYPE_CHECKING:
    from patchbay.adapters.standing import Standing
    from patchbay.registry.records import AdapterView, Placement, ReplicaReport, Revision

_MOST_MODULES = 12


def list_adapters(config: Config = None, as_json: AsJson = False) -> None:
    """Lists all adapters with their channels, which revision answers to each name, and for each that is not served why.

    Example: patchbay adapters list
    """
    from patchbay.adapters.standing import read_standings

    with opened(config) as session:
        views, reports = session.registry.adapters(), session.registry.reports()
        standings = read_standings(session.registry, session.names.adapters if session.names else ())
        _tell_age(session, reports)
        if as_json:
            print_json({"adapters": views, "replicas": reports, "standing": standings})
            return
        if not standings:
            console().print("There are no adapters yet. Push one: patchbay adapters push --help")
            return
        by_name = {view.name: view for view in views}
        rows = [_row(standing, by_name.get(standing.adapter), reports) for standing in standings]
        console().print(table("", ("adapter", "served", "stable", "canary", "revisions", "on replicas", "kept"), rows))
        _print_reasons(standings)


def show(
    reference: Annotated[str, typer.Argument(metavar="NAME[@R]", help="An adapter, or one revision of it.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Shows an adapter with its revisions and history, or all details of one revision.

    Example: patchbay adapters show sql@3
    """
    with opened(config) as session:
        revision = session.registry.resolve(reference)
        _tell_age(session, session.registry.reports())
        if "@" in reference:
            _show_revision(session, revision, as_json=as_json)
        else:
            _show_adapter(session, revision.adapter, as_json=as_json)


def diff(
    before: Annotated[str, typer.Argument(metavar="NAME@1", help="The first revision.")],
    after: Annotated[str, typer.Argument(metavar="NAME@2", help="The second revision.")],
    weights: Annotated[bool, typer.Option(help="Compare the weights, too, which fetches both.")] = True,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Shows how two revisions differ: in their records, and module by module in their changes to the base's weights.

    Example: patchbay adapters diff sql@1 sql@2
    """
    from patchbay.adapters.compare import diff as compare

    with opened(config) as session:
        first, second = session.registry.resolve(before), session.registry.resolve(after)
        changes = compare(first, second)
        distances = _distances(session, first, second) if weights else {}
        if as_json:
            print_json({"changes": changes, "weight_distance": distances})
            return
        rows = [(change.field, change.before, change.after) for change in changes]
        console().print(table("", ("", first.name, second.name), rows) if rows else "The records are the same.")
        if distances:
            farthest = sorted(distances.items(), key=lambda item: -item[1])[:_MOST_MODULES]
            title = f"Distance of the weights, the farthest {len(farthest)} of {len(distances)} modules (0: the same)"
            console().print(table(title, ("module", "distance"), [(n, f"{d:.3f}") for n, d in farthest]))


def verify(
    reference: Annotated[str, typer.Argument(metavar="NAME@R", help="The revision.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Reads every stored file of a revision, compares it with its hash, and repeats the checks of its push.

    Example: patchbay adapters verify sql@3
    """
    from patchbay.adapters.checks.base import BaseLayout
    from patchbay.adapters.checks.check import check_folder
    from patchbay.adapters.parity.reading import read_parity
    from patchbay.adapters.signing import verify_folder

    with opened(config) as session, workdir("verify") as aside:
        revision = session.registry.resolve(reference)
        with activity(f"reading {revision.name}"):
            folder = aside / "files"
            session.store.fetch(revision.draft.files, folder)
            known = {record.fingerprint: record for record in session.registry.bases()}
            record = known.get(revision.draft.base or "")
            base = BaseLayout.from_json(record.layout) if record and record.layout else None
            check_folder(folder, max_rank=session.defaults.max_rank, base=base, limits=session.config.limits)
            read_parity(folder)
            signer = verify_folder(folder, session.config.signing)
        if as_json:
            print_json({"revision": revision.name, "digest": revision.draft.digest, "signed_by": signer, "ok": True})
        else:
            signed = f", signed by {signer}" if signer else ""
            typer.echo(f"{revision.name} is whole: {len(revision.draft.files)} files, as they were pushed{signed}.")


def audit(
    subject: Annotated[str | None, typer.Option(help="Only this adapter or revision.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most entries to show.")] = 30,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Shows who did what, and why, the newest first.

    Example: patchbay adapters audit --subject sql
    """
    with opened(config) as session:
        entries = session.registry.audit(subject=subject, limit=limit)
        if as_json:
            print_json(entries)
            return
        rows = [
            (moment(entry.at), entry.actor, entry.action, entry.subject, _details(entry.details)) for entry in entries
        ]
        console().print(table("", ("when", "who", "what", "of", ""), rows))


def recommend(config: Config = None, as_json: AsJson = False) -> None:
    """Recommends numbers of slots and of places in host memory, by the requests to the replicas since their start.

    Example: patchbay adapters recommend
    """
    from patchbay.adapters.recommend import recommend as advise
    from patchbay.core.replica import RevisionUsage

    with opened(config) as session:
        reports = [report for report in session.registry.reports() if report.ready]
        usages = [RevisionUsage.model_validate(dict(report.usage)) for report in reports]
        slots = min((report.slots for report in reports), default=0)
        places = min((report.cpu for report in reports), default=0)
        advice = advise(usages, slots=slots, places=places)
        if as_json:
            print_json({"slots": slots, "places": places, "recommendation": advice})
            return
        typer.echo(advice.words)
        if advice.requests:
            rows = [("now", slots, places, f"{advice.hits_now:.1%}")]
            rows.append(("recommended", advice.max_loras, advice.max_cpu_loras, f"{advice.hits_then:.1%}"))
            console().print(table("", ("", "max_loras", "max_cpu_loras", "repeated requests that hit"), rows))


def _details(details: Mapping[str, object]) -> str:
    """Formats the details of an entry, with hashes cut to their first characters."""
    shown = {key: str(value)[:12] if key in ("digest", "base") else value for key, value in details.items()}
    return ", ".join(f"{key}: {value}" for key, value in shown.items())


def _tell_age(session: Session, reports: Sequence["ReplicaReport"]) -> None:
    """Says that the replicas' states are old, where no router is running to know better."""
    if reports and not session.registry.routers(ALIVE_S):
        last = max(report.seen_at for report in reports)
        tell(f"note: no router uses this registry now; the states of replicas are as last seen, {moment(last)}.")


def _print_reasons(standings: Sequence["Standing"]) -> None:
    """Prints in words why an adapter is not served, or not by its newest revision."""
    for standing in standings:
        if text := standing.words:
            console().print(text, markup=False)


def _row(standing: "Standing", view: "AdapterView | None", reports: Sequence["ReplicaReport"]) -> tuple[object, ...]:
    served = f"@{standing.served.rpartition('@')[2]}" if standing.served else "no"
    if view is None:
        return (standing.adapter, served, None, None, 0, None, "")
    stable = view.number("stable")
    placed = [placement for placement in _placements(view.name, reports) if placement.number == stable]
    kept = [word for word, is_so in (("preload", view.settings.preload), ("pin", view.settings.pin)) if is_so]
    return (
        view.name,
        served,
        f"@{stable}" if stable else None,
        f"@{view.number('canary')}" if view.number("canary") else None,
        len(view.revisions),
        _states(placed),
        ", ".join(kept),
    )


def _states(placements: Sequence["Placement"]) -> str | None:
    counts = Counter(placement.state for placement in placements)
    return ", ".join(f"{state} on {count}" for state, count in sorted(counts.items())) or None


def _states_and_reason(placements: Sequence["Placement"]) -> str | None:
    reasons = {placement.reason for placement in placements if placement.state == "failed" and placement.reason}
    return f"{_states(placements)}: {min(reasons)}" if reasons else _states(placements)


def _placements(name: str, reports: Iterable["ReplicaReport"]) -> list["Placement"]:
    everywhere = (placement for report in reports for placement in report.placements)
    return [placement for placement in everywhere if placement.adapter == name]


def _show_adapter(session: Session, name: str, *, as_json: bool) -> None:
    from patchbay.adapters.standing import read_standings

    revisions, view = session.registry.revisions(name), session.registry.snapshot().adapters[name]
    standing = next(one for one in read_standings(session.registry) if one.adapter == name)
    placements = _placements(name, session.registry.reports())
    moves = sorted(
        (*session.registry.history(name, "stable"), *session.registry.history(name, "canary")), key=lambda m: m.id
    )
    if as_json:
        shown = {"adapter": view, "standing": standing, "revisions": revisions}
        print_json(shown | {"placements": placements, "history": moves})
        return
    console().print(standing.words or f"{standing.served} answers to '{name}'.", markup=False)
    meant = {record.number: channel for channel, record in view.channels.items() if record.number}
    rows = [
        (
            revision.name,
            "retired" if revision.retired_at else meant.get(revision.number, ""),
            revision.draft.digest[:12],
            revision.draft.rank,
            size(revision.draft.size_bytes),
            moment(revision.created_at),
            _states_and_reason([placement for placement in placements if placement.number == revision.number]),
        )
        for revision in revisions
    ]
    columns = ("revision", "", "digest", "rank", "size", "pushed", "on replicas")
    console().print(table("", columns, rows))
    changes = [(moment(m.at), m.kind, m.channel, _step(m.before), _step(m.after), m.actor, m.why or "") for m in moves]
    console().print(table("History", ("when", "what", "channel", "from", "to", "who", "why"), changes))


def _show_revision(session: Session, revision: "Revision", *, as_json: bool) -> None:
    placements = [p for p in _placements(revision.adapter, session.registry.reports()) if p.number == revision.number]
    refusal, parity = _refusal(session, revision), _parity(session, revision)
    if as_json:
        print_json({"revision": revision, "placements": placements, "refusal": refusal, "parity": parity})
        return
    draft = revision.draft
    console().print(
        facts(
            {
                "revision": revision.name,
                "digest": draft.digest,
                "base model": draft.base,
                "rank, alpha": f"{draft.rank}, {draft.alpha:g}",
                "targets": ", ".join(draft.targets),
                "pushed": f"{moment(revision.created_at)} by {revision.created_by}",
                "retired": moment(revision.retired_at),
                "not promoted": refusal,
                "signed by": draft.signed_by,
                "golden prompts": len(draft.golden) or None,
                "parity": parity,
                **provenance_facts(draft.provenance),
            }
        )
    )
    console().print(
        table("Files", ("name", "size", "sha256"), [(f.name, size(f.size), f.sha256[:12]) for f in draft.files])
    )
    rows = [(placement.replica, placement.state, placement.reason or "") for placement in placements]
    console().print(table("Replicas", ("replica", "state", "why"), rows) if rows else "It is on no replica.")


def _refusal(session: Session, revision: "Revision") -> str | None:
    """Returns why the last attempt to promote `revision` failed, None where it did not, or there was none."""
    rollouts = session.registry.rollouts(revision.adapter)
    last = next((rollout for rollout in rollouts if rollout.number == revision.number), None)
    return last.reason if last is not None and last.state == "failed" else None


def _parity(session: Session, revision: "Revision") -> str | None:
    """Says how many parity rows a revision carries, None where it carries none. They were checked at its push."""
    from patchbay.adapters.contents import PARITY_FILE
    from patchbay.adapters.parity.reading import read_parity

    files = tuple(file for file in revision.draft.files if file.name == PARITY_FILE)
    if not files:
        return None
    with workdir("parity") as aside:
        session.store.fetch(files, aside / "files")
        found = read_parity(aside / "files")
    return f"{len(found.rows)} rows" if found is not None else None


def _distances(session: Session, first: "Revision", second: "Revision") -> dict[str, float]:
    from patchbay.adapters.compare import weight_distances

    with workdir("diff") as aside, activity("comparing the weights"):
        folders = aside / "1", aside / "2"
        for revision, folder in zip((first, second), folders, strict=True):
            session.store.fetch(revision.draft.files, folder)
        return weight_distances(*folders)


def _step(number: int | None) -> str | None:
    return f"@{number}" if number else None
