"""Plain frozen data and protocols that every other part speaks in. Nothing here does I/O."""
