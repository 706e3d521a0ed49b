"""The checks, a module for each group. Importing this package fills the catalogue, in the order of the report."""

from conformance.checks import (  # noqa: F401, I001 - the order is the report's
    manifest,
    auth,
    media,
    provision,
    repeats,
    grants,
    asynchronous,
    plan_change,
    deprovision,
    sso,
    sessions,
    latency,
    leaks,
    legacy,
)
