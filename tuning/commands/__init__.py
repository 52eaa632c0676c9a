"""The commands of tuning: `patchbay data`, `patchbay models`, `patchbay tune` and `patchbay why`."""
