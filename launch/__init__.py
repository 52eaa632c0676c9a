"""The launcher behind `patchbay up`: starts replicas and a router from one file, supervises and ends them in order."""
