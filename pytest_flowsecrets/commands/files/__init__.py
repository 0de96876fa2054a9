"""Readers of variables, with their positions, in ``.env`` files, shell scripts and YAML."""
