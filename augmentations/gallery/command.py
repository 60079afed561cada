"""The command: arguments in, a page out."""

import argparse
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

from augmentations.base import Augmentation
from augmentations.gallery.canvas import SUFFIXES
from augmentations.gallery.examples import Panel, augmentation_panel, classes, policies, policy_panel
from augmentations.gallery.page import gallery_page, policy_page
from augmentations.gallery.record import GalleryError, Record, neighbour, read
from augmentations.mixing import Mixing
from augmentations.storage import load
from augmentations.views import Views


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the page.

    Args:
        arguments: The command line's, if they are not to be taken from there.

    Returns:
        0; 2 if what was asked for cannot be shown, which is said on stderr.
    """
    parser = _parser()
    asked = parser.parse_args(arguments)
    try:
        print(_run(asked))
    except GalleryError as error:
        _say(f"error: {error}")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m augmentations.gallery",
        description="Every augmentation on a real ECG record, before and after, on one page.",
        epilog="example: python -m augmentations.gallery --data ptb-xl/records500/00000/00001_hr --only TimeWarp,Clip",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="a WFDB record, a folder (its first 12-lead record), or a .npy file of (leads, time) in mV with --fs",
    )
    parser.add_argument("--fs", type=float, metavar="HZ", help="sampling rate of a .npy file")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("gallery.png"),
        metavar="FILE",
        help=".png, .svg or .pdf (default: gallery.png)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of all random draws (default: 0)")
    parser.add_argument(
        "--policy", metavar="NAME|FILE", help="show views by one policy instead: a ready-made one, or a saved YAML file"
    )
    parser.add_argument("--only", type=_names, default=[], metavar="NAME,...", help="show these augmentations only")
    parser.add_argument("--leads", type=_names, default=[], metavar="LEAD,...", help="show these leads, such as II,V2")
    parser.add_argument("--credit", default="", metavar="TEXT", help="added to the footer: where the record is from")
    return parser


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _run(asked: argparse.Namespace) -> Path:
    if asked.data is None:
        raise GalleryError(
            "give a record to show them on: --data PATH, a WFDB record, a folder of records, or a .npy file with --fs"
        )
    out: Path = asked.out
    if out.suffix not in SUFFIXES:
        raise GalleryError(f"--out is a file that ends in {', '.join(SUFFIXES)}, not {out}")
    if not out.parent.is_dir():
        raise GalleryError(f"there is no folder {out.parent} to write {out.name} to: make it first")
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise GalleryError("the gallery draws with matplotlib: pip install wfdb matplotlib") from None
    if asked.policy and asked.only:
        raise GalleryError("--policy shows one policy, --only some augmentations: give one of them")
    policy = _policy(asked.policy) if asked.policy else None
    names = _chosen(asked.only)
    record = read(asked.data, asked.fs)
    leads = _leads(asked.leads, record)
    _say(f"{record.path}: {len(record.leads)} leads, {record.fs:g} Hz, {record.unit}")
    if policy is not None:
        try:
            policy_page(policy, Path(asked.policy).name, record, out, leads, asked.seed)
        except ValueError as error:
            raise GalleryError(f"{asked.policy}: {error}") from None
    else:
        gallery_page(_panels(names, record, leads, asked.seed), record, out, asked.credit)
    return out


def _chosen(only: Sequence[str]) -> list[str]:
    known = [*classes(), *policies()]
    for name in only:
        if name not in known:
            raise GalleryError(f"there is no augmentation or policy {name}{_meant(name, known)}")
    return [name for name in known if name in only or not only]


def _meant(name: str, known: Sequence[str]) -> str:
    lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), lower, n=1)
    return f": did you mean {lower[close[0]]}?" if close else f"; there are {', '.join(known)}"


def _leads(names: Sequence[str], record: Record) -> list[str]:
    """The names as the record spells them."""
    known = {lead.lower(): lead for lead in record.leads}
    for name in names:
        if name.lower() not in known:
            raise GalleryError(f"{record.name} has no lead {name}: it has {', '.join(record.leads)}")
    return [known[name.lower()] for name in names]


def _policy(name: str) -> Augmentation | Views:
    made = policies()
    if name in made:
        return made[name]()
    if not Path(name).is_file():
        there = f"neither a file nor one of {', '.join(made)}"
        close = difflib.get_close_matches(name, made, n=1)
        raise GalleryError(f"--policy {name} is {there}{f': did you mean {close[0]}?' if close else ''}")
    try:
        return load(name)
    except ModuleNotFoundError as error:
        raise GalleryError(str(error)) from None
    except (OSError, TypeError, ValueError) as error:
        raise GalleryError(f"--policy {name} cannot be used: {error}") from None


def _panels(names: Sequence[str], record: Record, leads: Sequence[str], seed: int) -> list[Panel]:
    augmented, made = classes(), policies()
    other = neighbour(record) if any(issubclass(augmented.get(name, Panel), Mixing) for name in names) else None
    panels = []
    for i, name in enumerate(names):
        if sys.stderr.isatty():
            print(f"\r\x1b[K{i + 1} of {len(names)}: {name}", end="", file=sys.stderr, flush=True)
        try:
            if name in augmented:
                panels.append(augmentation_panel(augmented[name], record, other, leads, seed))
            else:
                panels.append(policy_panel(name, made[name], record, leads, seed))
        except ValueError as error:
            _say(f"\n{name} is left out: {error}" if sys.stderr.isatty() else f"{name} is left out: {error}")
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    if not panels:
        raise GalleryError(f"nothing is left to show of {record.name}")
    return panels
