"""`python -m ssl_ecg.prepare`: convert a data set once, to the store that every later command reads."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_ecg import cli
from ssl_ecg.cli.help import chosen, command_line
from ssl_ecg.cli.parsing import read_file
from ssl_ecg.cli.settings import closest, did_you_mean, find_class, known, settings_of
from ssl_ecg.data.sources import Mixture, Prepared, Source
from ssl_ecg.errors import UserError
from ssl_ecg.launch import Launcher
from ssl_ecg.preprocessing import Preprocessing

if TYPE_CHECKING:
    from ssl_ecg.data.store import Store

DEFAULTS = Path(__file__).parents[1] / "pretrain" / "defaults.yaml"
"""What a recipe of `pretrain` starts from."""

RECIPE = (
    *("windows", "probe_windows", "method", "trainer", "positives", "batch_size", "patients_per_batch"),
    *("hold_out", "probe_every", "seed", "name", "out", "wandb"),
)
"""Settings of `pretrain` that say nothing of how data are prepared."""

ALL = "all that the data set has"
"""In place of the leads: those that all of its recordings have."""


def prepare(
    data: Source,
    preprocessing: Preprocessing,
    *,
    limit: int | None = None,
    strict: bool = False,
    workers: int = 0,
    again: bool = False,
    stream: str | None = None,
    launcher: Launcher = Launcher(),  # noqa: B008  (it does not change)
    cache: str | None = None,
    config: dict[str, Any] | None = None,
) -> Store:
    """Read a data set once, filter and resample it, and keep it as the store that pretrain and probe start from.

    The data set comes first, by its name. An option that is none of the command's own is one of the data set
    (`--root` for `--data.root`) or, if it has none of that name, of the preprocessing (`--highpass` for
    `--preprocessing.highpass`).

    Killed at any moment, the same command goes on. A recording that cannot be used is left out and reported,
    unless a published protocol needs it. Ends with a summary of what is there, also as summary.json and
    summary.png in the store's folder; given again, does nothing but show it.

    A file for --config may be a recipe of pretrain: what it says of the data is taken, so that just what will be
    read is prepared.

    Examples:
        python -m ssl_ecg.prepare PTBXL --root data/ptb-xl --rate 500 --fs 250
        python -m ssl_ecg.prepare WFDBFolder --root my/recordings --labels my/labels.csv --leads I,II
        python -m ssl_ecg.prepare --config experiments/recipes/simclr_mitbih.yaml --root data/mitdb
        python -m ssl_ecg.prepare CODE15 --root /scratch/code15 --launcher.where slurm --launcher.jobs 16

    Args:
        data: the data set; of several (A,B), each is prepared.
        preprocessing: how a raw recording becomes what the encoder sees.
        limit: the first so many recordings only, as a store of its own.
        strict: stop at a recording that cannot be used.
        workers: processes; 0 for one per core.
        again: make the store anew.
        launcher: whether jobs convert the recordings: of this machine, or of a SLURM cluster.
        stream: a folder, or an address such as s3://bucket/prefix, to write the store to for other machines.
        cache: folder of prepared data; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.
        config: all settings as plain values, for the next command's line; the command line gives it.

    Returns:
        The store; of several, the last.

    Raises:
        UserError: for data, settings or a folder that cannot be used.
    """
    from ssl_ecg.data.build import build, find
    from ssl_ecg.prepare.report import print_summary, summarise, write_summary

    if isinstance(data, Mixture):
        if stream:
            raise UserError("stream takes one data set at a time, and an address for each")
        said = config["data"]["init_args"]["sources"] if config else [None] * len(data.sources)
        same: dict[str, Any] = {"limit": limit, "strict": strict, "workers": workers, "again": again, "cache": cache}
        same["launcher"] = launcher
        each = zip(data.sources, said, strict=True)
        return [prepare(one, preprocessing, **same, config={"data": its} if its else None) for one, its in each][-1]
    data.ensure(limit)
    if preprocessing.leads == (ALL,):
        preprocessing = replace(preprocessing, leads=data.leads)
    there = not again and (isinstance(data, Prepared) or find(data, preprocessing, cache, limit) is not None)
    started = time.perf_counter()
    store = build(
        data,
        preprocessing,
        cache,
        limit=limit,
        strict=strict or None,
        workers=workers,
        again=again,
        progress=f"preparing {type(data).__name__}",
        launcher=launcher,
    )
    seconds = time.perf_counter() - started
    if there:
        print(f"{store.path} is prepared already: nothing to do.", file=sys.stderr)
    summary = summarise(store)
    try:
        write_summary(store, summary)
    except UserError:
        if not there:  # what is prepared already may lie on read-only media
            raise
    if stream:
        from ssl_ecg.data.progress import track
        from ssl_ecg.data.streaming import export

        export(store, stream, progress=lambda blocks, n: track(blocks, n, f"writing to {stream}"))
    print_summary(summary)
    if not there:
        print(f"took        {seconds:.1f} s, {len(store.records) / seconds:,.0f} records/s")
    print(f"store       {store.path}")
    if (picture := store.path / "summary.png").exists():
        print(f"picture     {picture}")
    if stream:
        print(f"streamed    {stream}")
    part = str(store.path) if limit is not None else None
    print(f"next        {_next(data, preprocessing, stream or part, cache, config or {})}")
    return store


def _next(
    data: Source, preprocessing: Preprocessing, place: str | None, cache: str | None, config: Mapping[str, Any]
) -> str:
    """Write the command that pretrains on this store; `place` is its path, where the source does not lead to it."""
    source = config.get("data", {"class_path": f"{type(data).__module__}.{type(data).__qualname__}"})
    options = {"data": "Prepared", "data.path": place} if place else chosen("data", Source, source)
    usual = Preprocessing()
    how = {option: value for option, value in vars(preprocessing).items() if value != getattr(usual, option)}
    how = {"fs": preprocessing.fs, "leads": preprocessing.leads} | how
    options |= {f"preprocessing.{option}": value for option, value in how.items()}
    if cache is not None and place is None:
        options["cache"] = cache
    return command_line("pretrain", **options)


def _in_full(argv: Sequence[str], source: str | None) -> list[str]:
    """Write out every option's full name; `source` is the data set where the line names none.

    UsageError for an option that nobody has, or no data set.
    """
    line = list(argv)
    if line and not line[0].startswith("-"):
        line.insert(0, "--data")
    if {"--help", "-h"} & set(line):
        return line
    named = [word for option, word in pairwise(line) if option == "--data"]
    named += [word.removeprefix("--data=") for word in line if word.startswith("--data=")]
    source = named[-1] if named else source
    if source is None:
        raise cli.UsageError(f"name the data set: one of {', '.join(known(Source))}")
    found = find_class("Mixture" if "," in source else source, Source, "--data")
    owners = {"": [*settings_of(prepare), "config", "print_config"]}
    owners |= {"data.": [*settings_of(found)], "preprocessing.": [*settings_of(Preprocessing)]}
    for i, word in enumerate(line):
        if word.startswith("--"):
            option = word[2:].partition("=")[0].partition(".")[0].replace("-", "_")
            owner = next((prefix for prefix, names in owners.items() if option in names), None)
            if owner is None:
                near = closest(option, [name for names in owners.values() for name in names])
                hint = f"; did you mean --{near}?" if near else ""
                raise cli.UsageError(f"there is no option --{option} for {found.__name__}{hint}")
            line[i] = f"--{owner}{word[2:]}"
    return line


def _without_config(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split a command line into the rest and its `--config` files."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config", action="append", default=[])
    try:
        given, line = parser.parse_known_args(argv)
    except argparse.ArgumentError:
        given, line = argparse.Namespace(config=[""]), []
    if not all(given.config):
        raise cli.UsageError("--config needs a file")
    return line, given.config


def _starting_point(files: Sequence[str]) -> dict[str, Any]:
    """Collect what the command line is added to: the data set's leads, or the defaults of `pretrain` and recipes."""
    if not files:
        return {"preprocessing": {"leads": [ALL]}}
    settings: dict[str, Any] = {}
    for file in (str(DEFAULTS), *files):
        content = read_file(file)
        names = [*settings_of(prepare), *RECIPE]
        if unknown := [name for name in (str(name).partition(".")[0] for name in content) if name not in names]:
            hint = did_you_mean(unknown[0], names)
            raise cli.UsageError(f"{file} sets {unknown[0]}, which is no setting of prepare or pretrain{hint}")
        mine = {name: value for name, value in content.items() if name.partition(".")[0] in settings_of(prepare)}
        how = {**settings.get("preprocessing", {}), **mine.get("preprocessing", {})}
        settings |= {**mine, "preprocessing": how}
    return settings


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    with cli.reporting_errors():
        line, files = _without_config(sys.argv[1:] if argv is None else argv)
        start = _starting_point(files)
        data = start.get("data")
        named = data.get("class_path") if isinstance(data, dict) else data
        if isinstance(named, list):
            named = "Mixture"
        parsed = cli.parse(prepare, _in_full(line, named), defaults=start)
        prepare(**parsed.instantiate())
