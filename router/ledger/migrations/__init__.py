"""The schema's history, run by `router.ledger.schema`; alembic finds the revisions in `versions`."""
