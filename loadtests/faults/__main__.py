"""The command `python -m loadtests.faults`: breaks what routers stand on for some minutes, and reports what held."""

from loadtests.faults.commands import main

main()
