"""Tests of the project as a whole: layers, import effects, the public surface, and its own text."""
