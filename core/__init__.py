"""The ground that every other package stands on: errors, settings, secrets, names, threads and processes."""
