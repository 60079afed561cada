"""The card of a head that finds waves: what it was fitted on, how well it does, and what it is not good at."""

from __future__ import annotations

from ssl_ecg.checkpoint.card import licence
from ssl_ecg.report.results import Results
from ssl_ecg.waves.matching import BOUNDARIES

_CARD = """\
# P, QRS and T waves: a head for {encoder}

{layers} on the encoder's maps{causal}, fitted on all {people} people of {data} ({licence}), leads {leads}.

Mean F1 of the six boundaries by the tolerances of Martinez 2004, in folds: of people on whom the head was not fitted,
but {training} others; 95 % intervals over people, one seed. {setting}.

| | {systems} |
|---|{rules}|
{scores}

Waves are those of one lead at a time; intervals of all leads are joined from them. Paced, fibrillating and broken leads
are the worst. On another device's recordings, look at what it finds. Not a medical device: for research.
"""


def head_card(
    results: Results, encoder: str, lead: str, version: str = "", conv: bool = False, causal: bool = False
) -> str:
    """Write it as Markdown, from the scores in folds of the same encoder; `lead` was scored apart.

    `version` is that of the data set, if it has one; `conv` and `causal` are those of the head.
    """
    about, apart = results.about, f"lead {lead}"
    found = {subset: results.scores(subset=subset, fraction=1.0) for subset in ("", apart)}
    systems = [name for name in ("pretrained", "untrained") if name in found[""]]
    lines = [("all of these leads", "", "f1"), (apart, apart, "f1")]
    lines += [(f"{apart}, {wave} {end}", apart, f"f1_{wave}_{end}") for wave, end in BOUNDARIES]
    setting = str(about["setting"])
    return _CARD.format(
        encoder=encoder,
        layers="A linear layer and two convolutions" if conv else "One linear layer",
        causal=", of leads filtered forwards alone" if causal else "",
        people=about["people"],
        data=" ".join(filter(None, (results.rows[0].data, version))),
        licence=licence(results.rows[0].data),
        leads=", ".join(about["leads"]),
        training=max(about["fitted_on_people"]),
        setting=setting[:1].upper() + setting[1:],
        systems=" | ".join(systems),
        rules="|".join("---" for _ in systems),
        scores="\n".join(
            f"| {title} | {' | '.join(str(found[subset][system][score]) for system in systems)} |"
            for title, subset, score in lines
            if found[subset]
        ),
    )
