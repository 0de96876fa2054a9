"""Findings: where a flow gets something else than what was written. One table of rules, one set of reporters."""
