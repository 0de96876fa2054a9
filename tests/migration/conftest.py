"""The real legacy Prefect, as the tests of the model use it."""

from tests.resolution.conftest import real

__all__ = ["real"]
