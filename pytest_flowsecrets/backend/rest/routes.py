"""The table of all routes."""

from __future__ import annotations

from pytest_flowsecrets.backend.rest.resources import (
    blocks,
    deployments,
    flow_runs,
    flows,
    limits,
    pool_runs,
    records,
    server,
    task_runs,
    variables,
    work_pools,
)
from pytest_flowsecrets.backend.rest.routing import Router

ROUTES = (
    *blocks.ROUTES,
    *variables.ROUTES,
    *flows.ROUTES,
    *flow_runs.ROUTES,
    *task_runs.ROUTES,
    *deployments.ROUTES,
    *work_pools.ROUTES,
    *pool_runs.ROUTES,
    *limits.ROUTES,
    *records.ROUTES,
    *server.ROUTES,
)
router = Router(ROUTES)
