"""Outcomes to train on, as the tests of training have them."""

from tests.judge.test_training import outcomes as outcomes
