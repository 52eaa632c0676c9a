"""The simulation of a fleet: the project's own balancer, admission and slot code against modelled engines.

The command is `python -m loadtests.scale --help`; docs/scale.md has the figures.
"""
