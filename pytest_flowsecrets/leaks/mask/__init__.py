"""Mask secrets in everything that a test run writes."""
