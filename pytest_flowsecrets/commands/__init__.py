"""The subcommands of ``flowsecrets``: a module for each, however small, which is imported only when it runs.

Each has ``run(arguments)``, which returns the exit status. ``parsers`` and ``server_parsers`` declare the options.
"""
