"""Mask known values in everything that a test run writes."""
