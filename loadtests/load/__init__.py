"""The load scenarios on a running Patchbay, with targets, a verdict and a report: `patchbay load run --help`."""
