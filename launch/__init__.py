"""`patchbay up`: starts replicas and a router from one file, watches over them, and ends them in order."""
