"""Variables out of ``.env`` files, shell scripts and YAML, each with its position."""
