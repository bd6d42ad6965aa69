"""The version of Rekku, for whoever asks a part which it is."""

VERSION = "0.1.0"
"""The same as pyproject.toml's, which is not there where Rekku runs without being installed."""
