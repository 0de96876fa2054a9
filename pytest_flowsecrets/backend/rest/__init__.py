"""A fake of the REST API of Prefect 2.20 and 3: no Prefect, no web framework, no database.

``RestApi`` holds what a session shares, ``View`` what one test sees. The table of routes is in ``routes``, the rules of
states in ``orchestration``, and each kind of row has a module in ``resources``.
"""

from pytest_flowsecrets.backend.rest.api import RestApi
from pytest_flowsecrets.backend.rest.view import View

__all__ = ["RestApi", "View"]
