"""The rows of one view: tables, what selects them, and what is written down about their readers."""
