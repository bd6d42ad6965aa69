"""What a turn, a start and a prompt cost: `python -m benchmarks.turns` prints it beside the targets."""
