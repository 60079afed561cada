"""Training by gradients: a convolutional head on a frozen encoder, or encoder and head together."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ssl_ecg.data.progress import track
from ssl_ecg.delineate.corpus import Lead
from ssl_ecg.waves.features import Frozen, System
from ssl_ecg.waves.head import Head
from ssl_ecg.waves.phases import UNMARKED, classes_of
from ssl_ecg.waves.refine import MORE, Refine

_CROP, _BATCH = 10.0, 16  # s of each lead that is seen at a time; leads
_WARM, _DECAY, _CLIP = 0.1, 0.01, 1.0


@dataclass(frozen=True)
class Tuning:
    """What is trained by gradients after the linear layer was fitted.

    Attributes:
        conv: whether convolutions refine what the layer says.
        end_to_end: whether the encoder is trained too.
        steps: of AdamW, batches of 16 leads of 10 s.
        rate: the largest learning rate.
    """

    conv: bool
    end_to_end: bool
    steps: int
    rate: float = 1e-3


def tune(system: System, head: Head, leads: Sequence[Lead], fs: float, how: Tuning, seed: int) -> tuple[System, Head]:
    """Train a head on leads, and a copy of the encoder if that is wanted; what was given stays as it is."""
    generator = torch.Generator().manual_seed(seed)
    weight, bias = head.weight, head.bias
    if how.conv:
        drawn = torch.randn(len(weight), MORE, generator=generator) * float(weight.std())
        weight, bias = torch.cat([weight, drawn], dim=1), torch.cat([bias, torch.zeros(MORE)])
    weight, bias = (each.clone().requires_grad_() for each in (weight, bias))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = replace(head, weight=weight, bias=bias, refine=Refine() if how.conv else None)
    learned: list[Tensor] = [weight, bias, *(head.refine.parameters() if head.refine is not None else ())]
    if how.end_to_end and isinstance(system, Frozen):
        system = copy.deepcopy(system)
        system.encoder.train().requires_grad_(True)
        learned += list(system.encoder.parameters())
    optimiser = torch.optim.AdamW(learned, lr=how.rate, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _share(step, how.steps))
    classes = [torch.from_numpy(classes_of(lead.marked, lead.fs, fs, len(lead.x))) for lead in leads]
    marked = [place for place, each in enumerate(classes) if (each != UNMARKED).any()]
    length = min(round(_CROP * fs), *(len(leads[place].x) for place in marked))
    for _ in track(range(how.steps), how.steps, f"training, {system.name}"):
        rows = torch.randint(len(marked), (_BATCH,), generator=generator).tolist()
        x, y = zip(*(_crop(leads[marked[i]].x, classes[marked[i]], length, generator) for i in rows), strict=True)
        with torch.set_grad_enabled(how.end_to_end):
            maps = system.batch(torch.stack(x))
        said = head.logits(maps, length)
        loss = torch.nn.functional.cross_entropy(said.flatten(0, 1), torch.cat(y), ignore_index=UNMARKED)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, _CLIP)
        optimiser.step()
        schedule.step()
    if how.end_to_end and isinstance(system, Frozen):
        system.encoder.eval().requires_grad_(False)
    if head.refine is not None:
        head.refine.eval().requires_grad_(False)
    return system, replace(head, weight=weight.detach(), bias=bias.detach())


def _crop(x: Tensor, classes: Tensor, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Cut a lead (T,) and its classes around a sample that is marked."""
    known = (classes != UNMARKED).nonzero().flatten()
    middle = int(known[torch.randint(len(known), (1,), generator=generator)])
    start = middle - int(torch.randint(length, (1,), generator=generator))
    start = min(max(0, start), len(x) - length)
    return x[start : start + length], classes[start : start + length]


def _share(step: int, steps: int) -> float:
    """Of the largest learning rate: a warm-up and a cosine."""
    warm = max(1, round(_WARM * steps))
    return (step + 1) / warm if step < warm else 0.5 + 0.5 * math.cos(math.pi * (step - warm) / max(1, steps - warm))
