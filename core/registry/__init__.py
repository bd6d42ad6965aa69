"""Finds components, loads them in isolation, and keeps the catalogue of what they declared."""
