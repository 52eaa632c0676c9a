"""The commands of tuning: `patchbay tune`, `patchbay data` and their kin."""
