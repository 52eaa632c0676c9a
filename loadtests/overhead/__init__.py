"""What a router costs: ours, its peers and nginx side by side, in front of one fake engine, in CPU time of the router's
own processes. `python -m loadtests.overhead --help`."""
