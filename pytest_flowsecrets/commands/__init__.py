"""Bodies of the commands; each module has ``run(arguments) -> exit code``."""
