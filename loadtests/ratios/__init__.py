"""The ratios that show what LoRA, slots, cold starts, the router and its guards cost: `python -m loadtests.ratios
--help`.

Ratios and not times, since times are one machine's, in one hour: both sides of each are measured in turn, again and
again, on one running stack.
"""
