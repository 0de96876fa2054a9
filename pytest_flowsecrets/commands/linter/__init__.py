"""The parts of ``flowsecrets check``: which files, which rules, the rules of each type of file, comments, and fixes."""
