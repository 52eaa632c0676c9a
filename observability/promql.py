"""Expressions that many panels share."""

EVERY = "[$__rate_interval]"
ANSWERS = "patchbay_router_answers_total"
# What the client is to blame for, and clients that leave, are nobody's failure: docs/runbooks.md says the same.
_COUNTED = 'outcome=~"ok|cached|server_error|broken"'
BAD = 'outcome=~"server_error|broken"'
CHOSEN = 'route=~"$route", adapter=~"$adapter", revision=~"$revision"'


def per_second(metric: str, chosen: str = "", by: str = "") -> str:
    """How much a counter grows in a second, in all or `by` labels."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{chosen}}}{EVERY}))"


def share(part: str, whole: str) -> str:
    """One sum as a share of another; nothing where there is none of the part is a share of 0."""
    return f"({part} or 0 * {whole}) / {whole}"


def failing(chosen: str, by: str = "") -> str:
    """The share of requests without a whole answer, of those for which the client is not to blame."""
    return share(per_second(ANSWERS, f"{chosen}, {BAD}", by), per_second(ANSWERS, f"{chosen}, {_COUNTED}", by))


def quantile(q: float, metric: str, chosen: str = "", by: str = "") -> str:
    """A quantile of a histogram, in all or `by` labels."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q:g}, sum by ({labels}) (rate({metric}_bucket{{{chosen}}}{EVERY})))"
