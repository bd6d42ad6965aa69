"""The command line: one file a command or group, and what they share; only what a command uses is imported."""
