"""Measurements side by side: each figure beside that of a program everybody knows, in the same run."""
