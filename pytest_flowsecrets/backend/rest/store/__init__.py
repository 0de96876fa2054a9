"""The rows of one view: tables, block types and events, masks for secret fields, and the log of reads."""
