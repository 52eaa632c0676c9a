"""The ratios that show what LoRA, slots, cold starts, the router and its guards cost.

Their command is `python -m loadtests.ratios --help`. They are ratios and not times, since times are one machine's, in
one hour: both sides of each are measured in turn, again and again, on one running stack.
"""
