"""The migration of a legacy configuration and of legacy flows to Prefect 2.20 or 3.

``plan`` is pure: it turns a resolution into a plan. ``rewrite`` changes Python sources with libcst. Only ``apply``
sends requests to an API, with the real client.
"""
