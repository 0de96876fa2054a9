"""What a secret will be. Pure: mappings in, a :class:`~pytest_flowsecrets.resolution.resolve.Resolution` out.

No module here reads a file, ``os.environ`` or Prefect. Start at :mod:`pytest_flowsecrets.resolution.resolve`.
"""
