"""A fleet of many replicas, simulated: the project's own balancer, admission and slot code against modelled engines.
`python -m loadtests.scale --help`; docs/scale.md has the figures."""
