"""One file, or one folder, an engine: an adapter to one language model."""
