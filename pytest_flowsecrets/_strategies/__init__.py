"""The implementation of :mod:`pytest_flowsecrets.strategies`."""
