"""The way of a legacy configuration and of legacy flows to Prefect 3.

``plan`` is pure: a resolution in, a plan out. ``rewrite`` changes Python sources with libcst. Only ``apply`` talks to an
API, with the real client.
"""
