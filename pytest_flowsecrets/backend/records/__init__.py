"""The data of a fake API: rows, keys, secrets, and the rules by which states change."""
