"""`python -m loadtests.faults`: breaks what routers stand on for some minutes, and says what held."""

from loadtests.faults.commands import main

main()
