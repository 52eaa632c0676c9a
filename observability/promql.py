"""The PromQL expressions that many panels share."""

EVERY = "[$__rate_interval]"
ANSWERS = "patchbay_router_answers_total"
# Errors of the client, and requests whose client left, do not count as failures: docs/runbooks.md says the same.
_COUNTED = 'outcome=~"ok|cached|server_error|broken"'
BAD = 'outcome=~"server_error|broken"'
CHOSEN = 'route=~"$route", adapter=~"$adapter", revision=~"$revision"'


def per_second(metric: str, chosen: str = "", by: str = "") -> str:
    """Returns the growth of a counter in a second, in all or `by` labels. `chosen`: a selector of labels."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{chosen}}}{EVERY}))"


def share(part: str, whole: str) -> str:
    """Returns one sum as a share of another: 0 where the part has no series, nothing where the whole has none."""
    return f"({part} or 0 * {whole}) / {whole}"


def failing(chosen: str, by: str = "") -> str:
    """Returns the share of requests without a whole answer, of those for which the client is not to blame."""
    return share(per_second(ANSWERS, f"{chosen}, {BAD}", by), per_second(ANSWERS, f"{chosen}, {_COUNTED}", by))


def quantile(q: float, metric: str, chosen: str = "", by: str = "") -> str:
    """Returns the quantile `q`, from 0 to 1, of a histogram, in all or `by` labels. `chosen`: a selector of labels."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q:g}, sum by ({labels}) (rate({metric}_bucket{{{chosen}}}{EVERY})))"
