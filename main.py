"""The command line: `python main.py …`, or `rekku …` inside the environment."""

from __future__ import annotations

import sys

try:
    from core.commands.terminal_text import PROGRAM
    from core.commands.tree import command_line
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] == "core":
        raise
    sys.exit(
        f"rekku: {error.name} is not installed for {sys.executable}. Run `make chat`, which sets up what is needed, "
        "or activate the environment first: . .venv/bin/activate"
    )


def main() -> None:
    """Run the command that was typed, and end the process with its exit status."""
    command_line(prog_name=PROGRAM)


if __name__ == "__main__":
    main()
