"""What a process does that tests run many of at once, or kill: `python -m tests.integration.registry.crowd URL …`."""

import sys
from pathlib import Path

from patchbay.adapters.artifacts.store import ArtifactStore
from patchbay.adapters.config import RegistryConfig
from patchbay.adapters.publish import Publisher, PushRequest
from patchbay.core.errors import Conflict
from patchbay.registry.records import ChannelChange
from patchbay.registry.registry import Registry
from tests.fakes.adapter_folder import write_adapter
from tests.fakes.drafts import draft


def push_and_promote(url: str, worker: int, count: int) -> None:
    """Pushes `count` revisions of one adapter, and makes each what its name means, against everyone else."""
    with Registry.open(url) as registry:
        for turn in range(count):
            revision, _ = registry.push(draft("shared", 1000 * worker + turn), actor=f"worker {worker}")
            try:
                registry.flip(
                    registry.begin_rollout(
                        ChannelChange(
                            adapter="shared", number=revision.number, channel="stable", actor=f"worker {worker}"
                        )
                    ).id
                )
            except Conflict:
                continue


def publish_for_ever(url: str, folder: Path, first: int) -> None:
    """Pushes and promotes real adapters, one after the other, until it is killed. Says which it begins."""
    settings = RegistryConfig.model_validate({"url": url, "artifacts": {"url": str(folder / "artifacts")}})
    with Registry.open(url) as registry:
        publisher = Publisher(registry, ArtifactStore.open(settings.artifacts), settings)
        for turn in range(first, first + 10_000):
            source = write_adapter(folder / "sources" / str(turn), fill=turn)
            sys.stdout.write(f"{turn}\n")
            sys.stdout.flush()
            revision = publisher.push(PushRequest("sql", str(source)), actor="killed").revision
            rollout = registry.begin_rollout(
                ChannelChange(adapter="sql", number=revision.number, channel="stable", actor="killed")
            )
            if rollout.state == "pending":
                registry.flip(rollout.id)


if __name__ == "__main__":
    job, given, *rest = sys.argv[1:]
    if job == "push":
        push_and_promote(given, int(rest[0]), int(rest[1]))
    else:
        publish_for_ever(given, Path(rest[0]), int(rest[1]))
