"""Health over HTTP: whether the process lives, whether it can do its work, and its figures for Prometheus."""
