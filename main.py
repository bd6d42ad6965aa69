"""The command line: `python main.py …`, or `rekku …` inside the environment."""

from __future__ import annotations

from core.commands.terminal_text import PROGRAM
from core.commands.tree import command_line


def main() -> None:
    """Run the command that was typed, and end the process with its exit status."""
    command_line(prog_name=PROGRAM)


if __name__ == "__main__":
    main()
