"""The subcommands of ``flowsecrets``: a module for each, however small, which is imported only when the subcommand runs.

Each has ``run(arguments)``, which returns the exit status. ``parsers`` and ``server_parsers`` declare the options.
"""
