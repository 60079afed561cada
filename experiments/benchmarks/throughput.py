"""How much of the encoder's own speed is left once data, augmentation and the training loop are added.

    python experiments/benchmarks/throughput.py --config experiments/recipes/simclr_mitbih.yaml \
        --data.root ../shared/data/mitdb

Takes the options of `python -m ssl_ecg.pretrain`. Rounds of the three are run in turn, so that a machine whose
speed drifts does not favour one; printed are the medians and their ratios.
"""

from __future__ import annotations

import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from pytorch_lightning import Trainer, seed_everything

from ssl_ecg import cli
from ssl_ecg.data.batches import Batch
from ssl_ecg.data.build import build
from ssl_ecg.data.module import ECGDataModule
from ssl_ecg.methods import JointEmbedding
from ssl_ecg.pretrain import DEFAULTS, Pretrain
from ssl_ecg.training.log import Throughput

ROUNDS, STEPS = 7, 20
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


def step(method: JointEmbedding, optimiser: torch.optim.Optimizer, views: list[torch.Tensor], batch: Batch) -> None:
    optimiser.zero_grad()
    method.compare(views, batch.patient).backward()
    optimiser.step()


def main() -> None:
    filled = {"method.encoder.in_channels": 1}
    parsed = cli.parse(Pretrain, defaults=DEFAULTS, filled=filled)
    parsed.set("method.encoder.in_channels", len(parsed.config["preprocessing"]["leads"]))
    seed_everything(0, verbose=False)
    given = parsed.instantiate()
    method, preprocessing, size = given["method"], given["preprocessing"], given["batch_size"]
    method.prepare(preprocessing.fs)
    store = build(given["data"], preprocessing, given["cache"])
    data = ECGDataModule(
        store, preprocessing, given["windows"], given["probe_windows"], size, given["patients_per_batch"], seed=0
    )
    optimiser, _ = method.optimiser.configure(method, 1000)
    in_memory = next(iter(data.batches()))
    views = method.looks(in_memory.x, method.draws(0))

    def encoder_and_loss() -> float:
        start = time.perf_counter()
        for _ in range(STEPS):
            step(method, optimiser, views, in_memory)
        return STEPS * size / (time.perf_counter() - start)

    def with_data() -> float:
        start, done = time.perf_counter(), 0
        while done < STEPS:
            for batch in data.batches():
                step(method, optimiser, method.looks(batch.x, method.draws(done)), batch)
                done += 1
                if done == STEPS:
                    break
        return STEPS * size / (time.perf_counter() - start)

    def whole_loop() -> float:
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(
                max_steps=STEPS,
                accelerator="cpu",
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
                reload_dataloaders_every_n_epochs=1,
                callbacks=[Throughput()],
                default_root_dir=Path(folder),
            )
            trainer.fit(method, datamodule=data)
        # of an epoch cut short: what the callback counts begins after set-up, as in a long run
        return float(trainer.callback_metrics["samples_per_s"])

    first = "encoder and loss, batch in memory"
    kinds = {first: encoder_and_loss, "+ data and views": with_data, "+ Lightning": whole_loop}
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for measure in kinds.values():
        measure()  # warm-up
    for i in range(ROUNDS):
        print(f"round {i + 1} of {ROUNDS}", file=sys.stderr)
        for name, measure in kinds.items():
            found[name].append(measure())
    base = statistics.median(found[first])
    print(f"{size} windows of {len(preprocessing.leads)} x {preprocessing.samples}, {torch.get_num_threads()} threads")
    for name, values in found.items():
        middle = statistics.median(values)
        spread = f"{min(values):,.0f} to {max(values):,.0f}"
        print(f"{name:36s} {middle:8,.0f} samples/s   {100 * middle / base:5.1f} %   ({spread})")


if __name__ == "__main__":
    with cli.reporting_errors():
        main()
