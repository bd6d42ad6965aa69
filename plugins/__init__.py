"""One file, or one folder, a plugin. Adding one is placing it here; nothing in core changes."""
