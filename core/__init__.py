"""The code that every other package uses: errors, settings, secrets, names, threads and processes."""
