"""The benchmark of a router's overhead: ours, its peers and nginx side by side, in front of one fake engine.

It measures the CPU time of the router's own processes: `python -m loadtests.overhead --help`.
"""
