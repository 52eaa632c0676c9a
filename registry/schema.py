"""The tables of the registry as they are now. The migrations make them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.types import JSON

from patchbay.registry.times import as_utc

metadata = MetaData()
# SQLite generates ids only in a column of exactly its INTEGER type.
_Id = BigInteger().with_variant(Integer, "sqlite")


class UtcTime(TypeDecorator[object]):
    """A column of aware times. SQLite does not store the zone, so a time that is read is taken as UTC, which it was."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: object, dialect: object) -> object:
        """Makes a time that was read aware."""
        return as_utc(value)


state = Table(
    "state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("installation", String(32)),
)
bases = Table(
    "bases",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("layout", JSON),
)
adapters = Table(
    "adapters",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("next_number", Integer, nullable=False),
    Column("preload", Boolean, nullable=False),
    Column("pin", Boolean, nullable=False),
    Column("declared", Text),
    Column("created_at", UtcTime, nullable=False),
)
revisions = Table(
    "revisions",
    metadata,
    Column("adapter", String(63), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("base", String(64)),
    Column("draft", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("retired_at", UtcTime),
    ForeignKeyConstraint(["adapter"], ["adapters.name"]),
)
channels = Table(
    "channels",
    metadata,
    Column("adapter", String(63), primary_key=True),
    Column("channel", String(16), primary_key=True),
    Column("number", Integer),
    Column("previous", Integer),
    Column("version", Integer, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    ForeignKeyConstraint(["adapter", "number"], ["revisions.adapter", "revisions.number"]),
    ForeignKeyConstraint(["adapter", "previous"], ["revisions.adapter", "revisions.number"]),
)
moves = Table(
    "moves",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("adapter", String(63), nullable=False, index=True),
    Column("channel", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("before", Integer),
    Column("after", Integer),
    Column("actor", Text, nullable=False),
    Column("why", Text),
    Column("at", UtcTime, nullable=False, index=True),
    UniqueConstraint("adapter", "channel", "version"),
)
rollouts = Table(
    "rollouts",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("adapter", String(63), nullable=False, index=True),
    Column("channel", String(16), nullable=False),
    Column("number", Integer, nullable=False),
    Column("expected", Integer),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("reason", Text),
    Column("actor", Text, nullable=False),
    Column("why", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    ForeignKeyConstraint(["adapter", "number"], ["revisions.adapter", "revisions.number"]),
)
audit = Table(
    "audit",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(128), nullable=False, index=True),
    Column("details", JSON, nullable=False),
)
uploads = Table(
    "uploads",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("hashes", JSON, nullable=False),
    Column("until", UtcTime, nullable=False),
)
routers = Table(
    "routers",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("since", UtcTime),
    Column("served", JSON),
)
leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(128), nullable=False),
    Column("until", Float, nullable=False),
)
replicas = Table(
    "replicas",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("url", Text, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("added_at", UtcTime, nullable=False),
)
reports = Table(
    "reports",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("report", JSON, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
)
tenants = Table(
    "tenants",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("tier", String(63), nullable=False),
    Column("limits", JSON, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
keys = Table(
    "keys",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("tenant", String(63), nullable=False, index=True),
    Column("digest", String(64), nullable=False),
    Column("note", Text, nullable=False),
    Column("routes", JSON(none_as_null=True)),
    Column("adapters", JSON(none_as_null=True)),
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    ForeignKeyConstraint(["tenant"], ["tenants.name"]),
)
usage = Table(
    "usage",
    metadata,
    Column("hour", UtcTime, primary_key=True),
    Column("tenant", String(63), primary_key=True),
    Column("route", String(200), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("answer_tokens", BigInteger, nullable=False),
    # Routers from before step 0007, which may run beside newer ones, count in this column; readers add it to the next.
    Column("cost", Float, nullable=False),
    Column("billionths", BigInteger, nullable=False, server_default="0"),
)
batches = Table(
    "batches",
    metadata,
    Column("source", String(64), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("at", UtcTime, nullable=False),
)
canaries = Table(
    "canaries",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("adapter", String(63), nullable=False, index=True),
    Column("number", Integer, nullable=False),
    Column("baseline", Integer, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("phase", String(16), nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("weight", Float, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("samples", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("looks", Integer, nullable=False),
    Column("rollout", BigInteger),
    Column("cut", Boolean, nullable=False),
    Column("cursor", JSON, nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("began_at", UtcTime),
    Column("step_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("pool", String(63)),
    Column("paused_at", UtcTime),
    Column("paused_by", Text),
    Column("paused_s", Float, nullable=False),
    Column("verdict_at", UtcTime),
    Column("verdict_generation", BigInteger),
    Column("judged", Integer, nullable=False),
)
tallies = Table(
    "tallies",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("canary", BigInteger, nullable=False),
    Column("source", String(128), nullable=False),
    Column("counts", JSON, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("look", Integer),
    Index("ix_tallies_canary_look", "canary", "look"),
)
looks = Table(
    "looks",
    metadata,
    Column("canary", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("verdict", JSON, nullable=False),
    Column("at", UtcTime, nullable=False),
)
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("canary", BigInteger, primary_key=True, autoincrement=False),
    Column("look", Integer, nullable=False),
    Column("ledger", JSON, nullable=False),
)
# What people wrote and were answered. `response` is without its `output`, which has a column of its own.
responses = Table(
    "responses",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("tenant", String(63), nullable=False),
    Column("id", String(128), nullable=False),
    Column("model", Text, nullable=False),
    Column("response", LargeBinary, nullable=False),
    Column("output", LargeBinary, nullable=False),
    Column("input", LargeBinary, nullable=False),
    Column("previous", String(128)),
    Column("previous_key", String(32)),
    Column("turns", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("own_size", BigInteger, nullable=False, server_default="0"),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False, index=True),
    UniqueConstraint("tenant", "id"),
    Index("ix_responses_tenant_own_size", "tenant", "own_size"),
)
datasets = Table(
    "datasets",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("digest", String(64), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("draft", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("retired_at", UtcTime),
)
