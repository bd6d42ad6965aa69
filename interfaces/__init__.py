"""One file, or one folder, an interface: an adapter to one chat platform."""
