"""The model of how Prefect resolves secrets: mappings in, a :class:`~.resolve.Resolution` out.

The model is pure: no module here reads a file, ``os.environ`` or Prefect. Start at
:mod:`pytest_flowsecrets.resolution.resolve`.
"""
