"""The stages of the path, one verb each. They import contracts, never each other."""
