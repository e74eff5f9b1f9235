"""A retraining as one HTML page that needs nothing else: the verdict, every check, plots, slices, what was left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from router.learning.drawing import bars, curves, reliability

_SOURCES: Final = {
    "verifier": "var(--candidate)",
    "judge": "var(--current)",
    "user": "var(--length)",
    "implicit": "var(--random)",
}
_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1d2733;--soft:#5b6775;--paper:#fff;--panel:#f5f7f9;--rule:#aab4bf;
--good:#1a7f4b;--bad:#b3261e;--candidate:#0b5fa5;--current:#c2571a;--length:#8a5ba8;--random:#7b8794}
@media (prefers-color-scheme:dark){:root{--ink:#e6ebf0;--soft:#a3afbb;--paper:#14191f;--panel:#1d242c;--rule:#5b6775;
--good:#4cc38a;--bad:#ff8f86;--candidate:#6db3f2;--current:#f2a26b;--length:#c79be0;--random:#98a4b0}}
body{margin:0 auto;max-width:1080px;padding:24px 16px 64px;font:15px/1.5 system-ui,sans-serif;color:var(--ink);
background:var(--paper)}
h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:32px 0 8px}p{margin:4px 0 12px}
.soft{color:var(--soft)}.good{color:var(--good)}.bad{color:var(--bad)}b.good,b.bad{font-weight:600}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:6px 12px 6px 0;border-bottom:1px solid var(--rule);vertical-align:top}
th{font-weight:600;color:var(--soft);font-size:13px}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;
white-space:nowrap}code{font-size:13px;overflow-wrap:anywhere}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:16px}
figure{margin:0;background:var(--panel);border-radius:8px;padding:12px}figcaption{font-size:13px;color:var(--soft)}
svg{width:100%;height:auto}svg text{font-size:12px;fill:var(--soft)}svg .axis{stroke:var(--rule)}
svg .grid{stroke:var(--rule);stroke-opacity:.35}
@media (max-width:640px){.checks .n{display:none}.wide:not(.checks) table{min-width:520px}}
.key{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 4px 0 10px}
"""


def page(document: Mapping[str, Any]) -> str:
    """The page of a `Retraining.document()`, as it is printed by `--json` and kept in the registry."""
    body = "\n".join(_body(document))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Signalbox: a retraining</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _body(document: Mapping[str, Any]) -> Iterator[str]:
    evidence, verdict = document["evidence"], document["verdict"]
    passed = bool(document["passed"])
    word = "The candidate passes the gate" if passed else "The candidate does not pass the gate"
    if verdict is None:
        word = "Nothing was learned"
    yield f"<h1>{word}</h1>"
    judges = f"current <code>{_text(document['current'])}</code>"
    if document["classifier"]:
        judges += f", candidate <code>{_text(document['classifier'])}</code>"
    yield f'<p class="soft">{judges}{", promoted" if document["promoted"] else ""}</p>'
    yield f"<p>{_text(document['reason'])}</p>"
    if verdict is not None:
        yield "<h2>Checks</h2>"
        yield _table(
            ("", "check", "value", "bound", "why"),
            [_check(check) for check in verdict["checks"]],
            (2, 3),
            "wide checks",
        )
    if evidence is not None:
        yield from _figures(evidence)
        yield from _plots(document, evidence)
        yield from _slices(evidence)
    yield from _data(document)


def _check(check: Mapping[str, Any]) -> tuple[str, ...]:
    kind = ("good" if check["passed"] else "bad") if check["measured"] else "soft"
    word = ("holds" if check["passed"] else "fails") if check["measured"] else "not measured"
    return (
        f'<b class="{kind}">{word}</b>',
        _text(check["name"]),
        _figure(check),
        _number(check["bound"]),
        _text(check["why"]),
    )


def _figures(evidence: Mapping[str, Any]) -> Iterator[str]:
    single, pairs, force = evidence["comparison"], evidence["pairs"], evidence["in_force"]
    yield "<h2>What the judges are worth</h2>"
    yield (
        '<p class="soft">Every figure rests on rows that the judging fit never saw; brackets hold 95 per cent bootstrap'
        " intervals. Base rate: one who only knows how good each model is on the whole.</p>"
    )
    if single["n"]:
        names = ("log_loss", "brier", "ece", "auc")
        rows = [
            (who.replace("_", " "), *(_figure(single[who][name]) for name in names))
            for who in ("current", "candidate", "base_rate")
        ]
        yield _table((f"on {single['n']} labels", "log loss", "Brier", "ECE", "AUC"), rows, (1, 2, 3, 4))
    if pairs is not None:
        unit = "" if pairs["priced"] else " (no prices known: the share of requests stands for the bill)"
        yield f"<p>Candidate against others on {pairs['n']} requests that two models answered{unit}:</p>"
        rows = [
            ("quality at equal cost, over all bills", _figure(pairs["at_equal_cost"])),
            (f"quality at today's bill ({pairs['today']:.0%} of the extra)", _figure(pairs["at_today"])),
            ("net value over all prices", _figure(pairs["worth"])),
            ("quality at equal cost, against prompt length", _figure(pairs["beside_length"])),
            ("quality at equal cost, against random", _figure(pairs["beside_chance"])),
        ]
        yield _table(("candidate less the other", "difference"), rows, (1,))
    if force is not None:
        yield f"<p>Under the policy in force, {_text(force['policy'])}: ESTIMATED, doubly robust, from the logs.</p>"
        if force["refusal"]:
            yield f"<p>{_text(force['refusal'])}</p>"
        else:
            cost = force["cost"]
            yield _table(
                ("candidate less current", "difference"),
                [
                    ("quality", _figure(force["quality"])),
                    ("cost, share of the bill", "unknown" if cost is None else _figure(cost)),
                    ("requests, effective", f"{force['requests']}, {force['effective']:.0f}"),
                ],
                (1,),
            )
    for note in evidence["notes"]:
        yield f"<p>{_text(note)}</p>"


def _plots(document: Mapping[str, Any], evidence: Mapping[str, Any]) -> Iterator[str]:
    drawn = evidence["drawn"]
    judges = {"candidate": "var(--candidate)", "current": "var(--current)"}
    beside = {"prompt length": "var(--length)", "random": "var(--random)"}
    yield '<div class="plots">'
    if any(drawn["reliability"].values()):
        yield _plot("Does the stated share come true?", reliability(drawn["reliability"]), judges)
    if drawn["curves"]:
        yield _plot("Quality for cost, on held-out pairs", curves(drawn["curves"]), {**judges, **beside})
    yield _by_day(document)
    yield "</div>"


def _by_day(document: Mapping[str, Any]) -> str:
    days = [(day, dict(counts)) for day, counts in document["labels_by_day"]]
    used = {source: colour for source, colour in _SOURCES.items() if any(source in counts for _, counts in days)}
    return _plot("Labels by day and source", bars(days, _SOURCES), used) if days else ""


def _plot(title: str, svg: str, keys: Mapping[str, str]) -> str:
    key = "".join(f'<span class="key" style="background:{colour}"></span>{name}' for name, colour in keys.items())
    return f"<figure>{svg}<figcaption>{title}:{key}</figcaption></figure>"


def _slices(evidence: Mapping[str, Any]) -> Iterator[str]:
    yield "<h2>By task, language and tenant</h2>"
    if not evidence["slices"]:
        yield "<p>None has 50 held-out labels yet.</p>"
        return
    yield '<p class="soft">Chances that it looks as bad as this were it no worse, after Holm.</p>'
    rows = [
        (
            f"{_text(one['by'])} {_text(one['name'])}",
            _text(one["what"]),
            str(one["n"]),
            _figure(one["difference"]),
            f"{one['chance']:.3f}",
            '<b class="bad">worse</b>' if one["worse"] else "",
        )
        for one in evidence["slices"]
    ]
    yield _table(("slice", "figure", "n", "difference", "chance", ""), rows, (2, 3, 4))


def _data(document: Mapping[str, Any]) -> Iterator[str]:
    counts, report = document["counts"], document["report"]
    yield "<h2>What it was learned from</h2>"
    rows = [(name.replace("_", " "), str(value)) for name, value in counts.items()]
    yield _table(("answers", "n"), [*rows, ("held out", str(document["held_out"]))], (1,))
    heads = [
        (
            _text(head["head"]),
            head["step"],
            str(head["labels"]),
            _number(head["loss_before"]),
            _number(head["loss_after"]),
        )
        for head in report["heads"]
    ]
    yield _table(("head", "step", "labels", "loss before", "loss after"), heads, (2, 3, 4))
    yield '<p class="soft">Losses of heads are of cross-validation among what was learned from.</p>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int], kind: str = "wide") -> str:
    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(f"<{tag}{' class=n' if at in numbers else ''}>{cell}</{tag}>" for at, cell in enumerate(row))

    lines = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<div class="{kind}"><table><thead><tr>{cells(head, "th")}</tr></thead><tbody>{lines}</tbody></table></div>'


def _figure(figure: Mapping[str, Any]) -> str:
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None:
        return "-"
    return f"{value:.4g}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}"


def _text(value: object) -> str:
    return escape(str(value))
