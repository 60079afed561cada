"""What the losses are, by the formulas of the papers: plain torch in float64, and nothing of lightly.

A formula gets a method in float64, a batch and the generator that the loss gets, and gives a scalar.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor

from ssl_ecg.data.batches import Batch
from ssl_ecg.methods import JointEmbedding, Method

Formula = Callable[[Method, Batch, torch.Generator], Tensor]


def views_of(method: JointEmbedding, batch: Batch, generator: torch.Generator) -> list[Tensor]:
    x = batch.x if batch.partner is None else [batch.x, batch.partner]
    return [view.double() for view in method.views(x, method.fs, generator)]


def projected(method: Method, views: list[Tensor]) -> list[Tensor]:
    """Projections of views; those of one length share their batch statistics in the encoder, all in the head."""
    lengths = dict.fromkeys(view.shape[-1] for view in views)
    z = [method.encoder(torch.cat([v for v in views if v.shape[-1] == length])) for length in lengths]
    return list(method.head(torch.cat(z)).chunk(len(views)))


def unit(z: Tensor) -> Tensor:
    return z / z.square().sum(1, keepdim=True).sqrt()


def negative_cosine(p: Tensor, z: Tensor) -> Tensor:
    return -(unit(p) * unit(z)).sum(1).mean()


def simclr(method: Method, batch: Batch, generator: torch.Generator) -> Tensor:
    pairs = combinations(projected(method, views_of(method, batch, generator)), 2)
    return torch.stack([nt_xent(unit(torch.cat(pair)), batch.patient, method) for pair in pairs]).mean()


def nt_xent(z: Tensor, patient: Tensor, method: Method) -> Tensor:
    n, person = len(patient), torch.cat([patient, patient])
    similarity = (z @ z.T / method.criterion.temperature).exp()
    losses = []
    for i in range(2 * n):
        own = (i + n) % (2 * n)
        allowed = {
            "batch": torch.ones(2 * n, dtype=torch.bool),
            "patient": person == person[i],
            "others": person != person[i],
        }[method.negatives]
        allowed[i] = allowed[own] = False
        if method.negatives == "patient" and not allowed.any():
            continue
        losses.append(-(similarity[i, own] / (similarity[i, own] + similarity[i][allowed].sum())).log())
    return torch.stack(losses).mean()


def byol(method: Method, batch: Batch, generator: torch.Generator) -> Tensor:
    views = views_of(method, batch, generator)
    p0, p1 = method.predictor(torch.cat(projected(method, views))).chunk(2)
    t0, t1 = method.target(torch.cat(views)).chunk(2)
    return (negative_cosine(p0, t1) + negative_cosine(p1, t0)) / 2


def simsiam(method: Method, batch: Batch, generator: torch.Generator) -> Tensor:
    z0, z1 = projected(method, views_of(method, batch, generator))
    p0, p1 = method.predictor(torch.cat([z0, z1])).chunk(2)
    return (negative_cosine(p0, z1) + negative_cosine(p1, z0)) / 2


def vicreg(method: Method, batch: Batch, generator: torch.Generator) -> Tensor:
    z0, z1 = projected(method, views_of(method, batch, generator))
    weights, dims = method.weights, z0.shape[1]
    loss = weights["invariance"] * (z0 - z1).square().mean()
    for z in (z0, z1):
        covariance = torch.cov(z.T)
        loss = loss + weights["variance"] / 2 * (1 - (covariance.diagonal() + 1e-4).sqrt()).clamp(min=0).mean()
        apart = covariance - covariance.diagonal().diag()
        loss = loss + weights["covariance"] * apart.square().sum() / dims
    return loss


def barlow_twins(method: Method, batch: Batch, generator: torch.Generator) -> Tensor:
    z = projected(method, views_of(method, batch, generator))
    a, b = ((v - v.mean(0)) / (v.var(0, correction=0) + 1e-5).sqrt() for v in z)
    c = a.T @ b / len(a)
    apart = c - c.diagonal().diag()
    return (c.diagonal() - 1).square().sum() + method.criterion.lambda_param * apart.square().sum()


def moco(method: Method, batch: Batch, generator: torch.Generator) -> Tensor:
    views = views_of(method, batch, generator)
    queries = method.predictor(torch.cat(projected(method, views))).chunk(2)
    keys = method.target(torch.cat(views)).chunk(2)
    losses = []
    for query, key in ((queries[0], keys[1]), (queries[1], keys[0])):
        candidates = torch.cat([unit(key), method.past])
        owner = torch.cat([batch.patient, method.owner])
        for i, q in enumerate(unit(query)):
            logits = candidates @ q / method.temperature
            kept = owner != -1
            if method.negatives == "others":
                kept &= owner != batch.patient[i]
            kept[i] = True
            losses.append(logits[kept].exp().sum().log() - logits[i])
    return 2 * method.temperature * torch.stack(losses).sum() / len(batch.x)


def dino(method: Method, batch: Batch, generator: torch.Generator) -> Tensor:
    views = views_of(method, batch, generator)
    seen = [v for v in views if v.shape[-1] == views[0].shape[-1]]
    teacher = (method.target(torch.cat(seen)) - method.criterion.center.flatten()) / method.teacher_temperature
    student = torch.cat(projected(method, views)) / method.criterion.student_temp
    targets = teacher.softmax(1).chunk(len(seen))
    logs = student.log_softmax(1).chunk(len(views))
    pairs = [(t, s) for t in range(len(seen)) for s in range(len(views)) if t != s]
    return -torch.stack([(targets[t] * logs[s]).sum(1).mean() for t, s in pairs]).mean()


def lejepa(method: Method, batch: Batch, generator: torch.Generator) -> Tensor:
    views = views_of(method, batch, generator)
    seen = sum(v.shape[-1] == views[0].shape[-1] for v in views)
    z = torch.stack(projected(method, views))
    invariance = (z - z[:seen].mean(0)).square().mean()
    directions = torch.randn(z.shape[-1], method.normality.num_vectors).double()  # as drawn from the global state
    along = z @ (directions / directions.norm(dim=0))
    t = torch.linspace(-3, 3, 33, dtype=torch.float64)
    normal = (-t.square() / 2).exp()
    sampled = torch.exp(1j * along[..., None] * t).mean(1)
    distance = (sampled - normal).abs().square() * normal
    statistic = len(batch.x) * torch.trapezoid(distance, t).mean()
    return (1 - method.gaussian) * invariance + method.gaussian * statistic


def hidden_tokens(rows: int, tokens: int, blocks: int, length: int, generator: torch.Generator) -> Tensor:
    starts = torch.randint(tokens - length + 1, (rows, blocks), generator=generator)
    return torch.tensor([[any(s <= t < s + length for s in row) for t in range(tokens)] for row in starts.tolist()])


def samples_of(hidden: Tensor, stride: int, samples: int) -> Tensor:
    mask = torch.zeros(len(hidden), 1, samples, dtype=torch.bool)
    for row, token in hidden.nonzero().tolist():
        mask[row, 0, token * stride : (token + 1) * stride] = True
    return mask


def jepa(method: Method, batch: Batch, generator: torch.Generator) -> Tensor:
    x, stride = batch.x.double(), method.encoder.stride
    targets = list(method.target[0].features(x))[method.target_stage]
    mean, variance = targets.mean(1, keepdim=True), targets.var(1, keepdim=True, correction=0)
    targets = (targets - mean) / (variance + 1e-5).sqrt()
    length = round(method.block * method.fs / stride)
    hidden = hidden_tokens(len(x), targets.shape[2], method.blocks, length, generator)
    seen = x * ~samples_of(hidden, stride, x.shape[2])
    off = (method.predictor(list(method.encoder.features(seen))[-1]) - targets).abs()
    error = torch.where(off < 1, off.square() / 2, off - 0.5).mean(1)
    return torch.stack([row[there].mean() for row, there in zip(error, hidden, strict=True)]).mean()


def cpc(method: Method, batch: Batch, generator: torch.Generator) -> Tensor:
    *_, tokens, context = method.encoder.features(batch.x.double())
    rows, length = len(tokens), tokens.shape[2]
    z = tokens / tokens.square().sum(1, keepdim=True).sqrt()
    step = torch.randint(1, rows, (rows, method.count), generator=generator) if method.negatives != "same" else None
    place = torch.randint(length, (rows, method.count), generator=generator) if step is not None else None
    losses = []
    for head, horizon in zip(method.heads, method.horizons, strict=True):
        ahead, found = round(horizon * method.fs / method.encoder.stride), []
        queries = head(context)
        for row in range(rows):
            others = []
            if step is not None and place is not None:
                for by, t in zip(step[row].tolist(), place[row].tolist(), strict=True):
                    other = (row + by) % rows
                    if batch.patient[other] != batch.patient[row]:
                        others.append(z[other, :, t])
            for t in range(length - ahead):
                apart = [u for u in range(length) if abs(u - t - ahead) > method.gap]
                within = [z[row, :, u] for u in apart] if method.negatives != "batch" else []
                keys = torch.stack([z[row, :, t + ahead], *within, *others])
                query = queries[row, :, t]
                likeness = keys @ (query / query.square().sum().sqrt()) / method.temperature
                found.append(likeness.logsumexp(0) - likeness[0])
        losses.append(torch.stack(found).mean())
    return torch.stack(losses).mean()


def autoencoder(method: Method, batch: Batch, generator: torch.Generator) -> Tensor:
    x = batch.x.double()
    seen = method.augmentations(batch.x, method.fs, generator).double()
    made = method.decoder(list(method.encoder.features(seen))[-1])[..., : x.shape[2]]
    return (made - x).square().mean()


def masked_autoencoder(method: Method, batch: Batch, generator: torch.Generator) -> Tensor:
    x, stride = batch.x.double(), method.encoder.stride
    tokens, length = x.shape[2] // stride, round(method.block * method.fs / stride)
    blocks = max(1, round(method.share * tokens / length))
    mask = samples_of(hidden_tokens(len(x), tokens, blocks, length, generator), stride, x.shape[2])
    made = method.decoder(list(method.encoder.features(x * ~mask))[-1])[..., : x.shape[2]]
    error = (made - x).square()
    return torch.stack([row[there].mean() for row, there in zip(error, mask, strict=True)]).mean()


def distillation(method: Method, batch: Batch, generator: torch.Generator) -> Tensor:
    x = batch.x.double()
    centred = x - x.mean(2, keepdim=True)  # the teacher's windows have unit variance
    z = method.teacher.encoder(centred / centred.square().mean(2, keepdim=True).sqrt())
    z = z - z.mean(0)
    wanted = z / (z.square().mean(0) + method.standardise.eps).sqrt()
    seen = method.augmentations(batch.x, method.fs, generator).double()
    return (method.head(method.encoder(seen)) - wanted).square().mean()


def joint(method: Method, batch: Batch, generator: torch.Generator) -> Tensor:
    losses = []
    for objective, weight, portion in zip(method.objectives, method.weights, method.portions, strict=True):
        part = Batch(*(None if field is None else field[: round(portion * len(batch.x))] for field in batch))
        losses.append(weight * FORMULAS[type(objective).__name__](objective, part, generator))
    return torch.stack(losses).sum()


FORMULAS: dict[str, Formula] = {
    "Autoencoder": autoencoder,
    "BYOL": byol,
    "BarlowTwins": barlow_twins,
    "CPC": cpc,
    "DINO": dino,
    "Distillation": distillation,
    "JEPA": jepa,
    "Joint": joint,
    "LeJEPA": lejepa,
    "MaskedAutoencoder": masked_autoencoder,
    "MoCo": moco,
    "SimCLR": simclr,
    "SimSiam": simsiam,
    "VICReg": vicreg,
}
