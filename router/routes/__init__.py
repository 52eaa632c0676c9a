"""Routes: the way from a request to its model, by routes, templates, rules and splits. All of it pure."""
