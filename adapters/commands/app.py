"""The command `patchbay adapters`, with its sub-commands."""

import typer

from patchbay.adapters.commands import artifacts as keep
from patchbay.adapters.commands import channels as move
from patchbay.adapters.commands import inspect, push

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Push, promote, roll back and inspect adapters.")
app.command("push")(push.push)
app.command("list")(inspect.list_adapters)
app.command("show")(inspect.show)
app.command("diff")(inspect.diff)
app.command("verify")(inspect.verify)
app.command("promote")(move.promote)
app.command("rollback")(move.rollback)
app.command("retire")(move.retire)
app.command("clear")(move.clear)
app.command("set")(move.keep)
app.command("pull")(keep.pull)
app.command("merge")(push.merge)
app.command("sign")(push.sign)
app.command("gc")(keep.gc)
app.command("recommend")(inspect.recommend)
app.command("audit")(inspect.audit)
