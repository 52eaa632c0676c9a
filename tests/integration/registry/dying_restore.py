"""A restore that kills itself at a durable call: `python -m tests.integration.registry.dying_restore DIR STEP`."""

import os
import sys
from pathlib import Path

from typer.testing import CliRunner

from patchbay.command import build_app
from tests.integration.registry.dying import deadly

if __name__ == "__main__":
    dies = deadly(int(sys.argv[2]))
    os.fsync = dies(os.fsync)
    for name in ("rename", "unlink", "write_bytes"):
        setattr(Path, name, dies(getattr(Path, name)))
    done = CliRunner().invoke(build_app(), ["restore", sys.argv[1], "--force"])
    sys.stdout.write(f"ended {done.exit_code} {done.output}\n")
