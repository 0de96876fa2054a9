"""The real server of Prefect 2.20 and 3, as one child process: for what the fake REST API leaves out.

``PrefectServer`` starts and resets it. ``main`` is the program of the child process, ``environment`` has its settings,
and ``blocks`` stores secrets and variables through its REST API.
"""

from pytest_flowsecrets.backend.prefect_server.server import PrefectServer

__all__ = ["PrefectServer"]
