"""Runs a plugin in a process of its own: the child, what crosses, and the stand-in that the registry loads."""
