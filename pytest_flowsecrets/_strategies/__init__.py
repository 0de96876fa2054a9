"""The parts of :mod:`pytest_flowsecrets.strategies`."""
