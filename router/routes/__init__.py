"""What clients ask for, and what they get: routes, templates, rules, splits. All of it pure."""
