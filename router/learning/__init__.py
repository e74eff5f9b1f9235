"""From the ledger to a new judge: joins `router.ledger` and `classifiers.training`."""
