"""What a pretraining run says and leaves: scores, figure, checkpoint and its card."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from ssl_ecg.checkpoint import golden_signal, patient_hash, save_encoder
from ssl_ecg.checkpoint.card import describe, model_card
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
    """Score the encoder, and write results, figure and checkpoint."""
    from ssl_ecg.report.figures import save
    from ssl_ecg.report.training_curves import training_curves

    store, preprocessing = module.store, module.preprocessing
    save(training_curves(history), run.folder / "training.png")
    systems = {"pretrained": method.encoder, "untrained": untrained} if probe.possible else {}
    scores = {system: probe.score(encoder) for system, encoder in systems.items()}
    if logger is not None:
        logger.log_image("training", [str(run.folder / "training.png")])
        logger.log_metrics({f"{s}/{name}": value for s, row in scores.items() for name, value in row.items()})
        logger.experiment.finish()  # or what was logged last may not be on disk when the command ends
    pretraining = {
        "method": type(method).__name__,
        "data": store.source,
        "simulated": store.simulated,
        "epochs": len(history),
        "seed": module.seed,
        "cohort": store.cohort,
        "covers": store.meta["covers"],
        "patients": [patient_hash(store.cohort, patient) for patient in module.patients],
    }
    encoder = method.encoder.cpu()
    run.write_results({"simulated": store.simulated, "held_out": module.held_out, "scores": scores, **history[-1]})
    save_encoder(
        run.checkpoint,
        encoder,
        preprocessing,
        pretraining,
        golden_signal(next(module.train.conditioned(1))[0].cpu().numpy()),
        model_card(pretraining, preprocessing.to_dict(), describe(encoder), scores),
        method.shipped,
    )


def show(run: Run) -> None:
    """Print the scores of a finished run, where its files are and what to do next."""
    results = run.results()
    if results["scores"]:
        patients = len(results["held_out"])
        title = f"Frozen embeddings of {patients} held-out patients, {origin(results['simulated'])}"
        print_table(results["scores"], title=title)
    else:
        print("Too few labelled patients were held out to probe the embeddings.")
    own = not json.loads((run.checkpoint / "config.json").read_text())["encoder"]["class"].startswith("ssl_ecg.")
    options = chosen("data", Source, run.config()["data"]) | ({"trust": True} if own else {})
    again = command_line("probe", str(run.folder), **options)
    print(f"run         {run.folder}\ncheckpoint  {run.checkpoint}")
    print(f"figure      {run.folder / 'training.png'}\nnext        {again}")


def announce(run: Run, module: ECGDataModule, method: Method) -> None:
    """Say what is about to happen."""
    parameters = sum(p.numel() for p in method.encoder.parameters())
    print(
        f"{type(method).__name__} on {module.store.source}, {origin(module.store.simulated)}: "
        f"{len(module.train):,} windows of {len(module.patients)} patients, {len(module.held_out)} patients held out\n"
        f"{type(method.encoder).__name__} with {parameters:,} parameters; run folder {run.folder}"
        + (" (going on where it was stopped)" if run.started else ""),
        file=sys.stderr,
    )
    if module.partners:
        print(f"{module.partners.share:.1%} of the windows have a partner other than themselves", file=sys.stderr)
