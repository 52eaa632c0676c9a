"""Load balancing: the choice of a replica, outlier ejection, suspicion of requests, and the retry budget. Pure."""
