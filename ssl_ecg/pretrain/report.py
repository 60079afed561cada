"""What a pretraining run says and leaves: scores, figure, checkpoint and its card."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from ssl_ecg.checkpoint import golden_signal, patient_hash, save_encoder
from ssl_ecg.checkpoint.card import describe, model_card, shareable
from ssl_ecg.checkpoint.lineage import with_teachers
from ssl_ecg.cli.help import chosen, command_line
from ssl_ecg.data.module import ECGDataModule
from ssl_ecg.data.sources import Source
from ssl_ecg.encoders import Encoder
from ssl_ecg.methods import Method
from ssl_ecg.report.tables import origin, print_table
from ssl_ecg.training.run import Run

if TYPE_CHECKING:
    from pytorch_lightning.loggers import WandbLogger

    from ssl_ecg.training.online_probe import OnlineProbe


def finish(
    run: Run,
    module: ECGDataModule,
    method: Method,
    untrained: Encoder,
    probe: OnlineProbe,
    history: list[dict[str, float]],
    logger: WandbLogger | None,
) -> None:
    """Score the encoder, and write results, figures, checkpoint and page."""
    from ssl_ecg.pretrain.pictures import embeddings_figure, views_figure
    from ssl_ecg.report.figures import save
    from ssl_ecg.report.run_page import EMBEDDINGS, PAGE, VIEWS, run_page
    from ssl_ecg.report.training_curves import training_curves

    preprocessing, stores = module.preprocessing, [part.store for part in module.parts]
    simulated = any(store.simulated for store in stores)
    whose = {"cohort": stores[0].cohort} if len(stores) == 1 else {"cohorts": sorted({s.cohort for s in stores})}
    save(training_curves(history), run.folder / "training.png")
    systems = {"pretrained": method.encoder, "untrained": untrained} if probe.possible else {}
    scores = {system: probe.score(encoder) for system, encoder in systems.items()}
    if logger is not None:
        logger.log_image("training", [str(run.folder / "training.png")])
        logger.log_metrics({f"{s}/{name}": value for s, row in scores.items() for name, value in row.items()})
    pretraining = {
        "method": type(method).__name__,
        "data": ", ".join(store.source for store in stores),
        "simulated": simulated,
        "epochs": len(history),
        "seed": module.seed,
        "recipe": shareable(run.config()),
        **whose,
        "covers": sorted({name for store in stores for name in store.meta["covers"]}),
        "patients": list(
            dict.fromkeys(patient_hash(part.store.cohort, who) for part in module.parts for who in part.patients)
        ),
    }
    pretraining = with_teachers(pretraining, method.teachers)
    encoder = method.encoder.cpu()
    known = module.store.meta.get("patients_known", True)
    found = {
        "patients_known": known,
        "simulated": simulated,
        "held_out": module.held_out,
        "probed": module.parts.index(module.probed),
    }
    run.write_results({**found, "encoder": describe(encoder), "scores": scores, **history[-1]})
    save_encoder(
        run.checkpoint,
        encoder,
        preprocessing,
        pretraining,
        golden_signal(next(module.train.conditioned(1))[0].cpu().numpy()),
        model_card(pretraining, preprocessing.to_dict(), describe(encoder), scores),
        method.shipped,
    )
    # Last: what no picture can be made of is trained all the same.
    save(views_figure(method, module), run.folder / VIEWS)
    if len(probe.val):
        save(embeddings_figure(method.encoder, probe.val), run.folder / EMBEDDINGS)
    run_page(run.folder).write(run.folder / PAGE)


def show(run: Run) -> None:
    """Print the scores of a finished run, where its files are and what to do next."""
    results = run.results()
    if results["scores"]:
        patients = len(results["held_out"])
        whose = "patients" if results.get("patients_known", True) else "recordings (whose is not known)"
        title = f"Frozen embeddings of {patients} held-out {whose}, {origin(results['simulated'])}"
        print_table(results["scores"], title=title)
    else:
        print("Too few labelled patients were held out to probe the embeddings.")
    own = not json.loads((run.checkpoint / "config.json").read_text())["encoder"]["class"].startswith("ssl_ecg.")
    data = run.config()["data"]
    if "sources" in data["init_args"]:
        data = data["init_args"]["sources"][results.get("probed", 0)]
    options = chosen("data", Source, data) | ({"trust": True} if own else {})
    again = command_line("probe", str(run.folder), **options)
    print(f"run         {run.folder}\ncheckpoint  {run.checkpoint}")
    report = run.folder / "report.html"
    print(f"report      {report if report.exists() else run.folder / 'training.png'}\nnext        {again}")


def announce(run: Run, module: ECGDataModule, method: Method) -> None:
    """Say what is about to happen."""
    simulated = any(part.store.simulated for part in module.parts)
    parameters = sum(p.numel() for p in method.encoder.parameters())
    print(
        f"{type(method).__name__} on {', '.join(part.store.source for part in module.parts)}, {origin(simulated)}: "
        f"{len(module.train):,} windows of {sum(len(part.patients) for part in module.parts)} patients, "
        f"{sum(len(part.held_out) for part in module.parts)} patients held out\n"
        f"{type(method.encoder).__name__} with {parameters:,} parameters; run folder {run.folder}"
        + (" (going on where it was stopped)" if run.started else ""),
        file=sys.stderr,
    )
    if module.partners:
        print(f"{module.partners.share:.1%} of the windows have a partner other than themselves", file=sys.stderr)
