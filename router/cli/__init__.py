"""The `signalbox` command: one file for each group of sub-commands, put together here."""

from __future__ import annotations

import typer

from router.cli import (
    comparing,
    costs,
    demo,
    doctor,
    evaluation,
    judge,
    keys,
    learning,
    policy,
    policy_diff,
    policy_trial,
    rehearsing,
    risk,
    serve,
    tuning,
    watching,
)

app = typer.Typer(
    name="signalbox",
    help="A gateway that judges each query and lets a policy decide which model answers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve.serve)
app.command()(demo.demo)
policy.app.command("test")(policy_trial.try_cases)
policy.app.command("replay")(policy_trial.replay)
policy.app.command("diff")(policy_diff.diff)
policy.app.command("tune")(tuning.tune)
app.add_typer(policy.app, name="policy")
app.command("costs")(costs.print_costs)
app.add_typer(keys.app, name="keys")
app.command()(doctor.doctor)
app.command()(judge.train)
app.command(cls=evaluation.ManyTrainFiles)(evaluation.evaluate)
app.command()(comparing.compare)
app.command()(learning.retrain)
app.command()(rehearsing.rehearse)
app.command()(risk.risk)
app.command()(learning.promote)
app.command()(learning.rollback)
app.command()(learning.history)
app.command()(watching.watch)
app.add_typer(judge.artefacts, name="artefacts")


def main() -> None:
    """The console script."""
    app()
