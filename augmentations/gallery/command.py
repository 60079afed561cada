"""The command: arguments in, a page out."""

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
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
    """Makes the page that the command line asks for; returns 0, or 2 if it cannot be made, and says why on stderr."""
    try:
        print(_run(_parser().parse_args(arguments)))
    except GalleryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m augmentations.gallery",
        description="Every augmentation on a real ECG record, before and after, on one page.",
        epilog="example: python -m augmentations.gallery --data ptb-xl/records500/00000/00001_hr --only TimeWarp,Clip",
    )
    add = parser.add_argument
    data = "a WFDB record, a folder (its first 12-lead record), or a .npy file of (leads, time) in mV with --fs"
    add("--data", type=Path, metavar="PATH", help=data)
    add("--fs", type=float, metavar="HZ", help="sampling rate of a .npy file")
    out = ".png, .svg or .pdf (default: gallery.png)"
    add("--out", type=Path, default=Path("gallery.png"), metavar="FILE", help=out)
    add("--seed", type=int, default=0, help="of all random draws (default: 0)")
    policy = "show views by one policy instead: a ready-made one, or a saved YAML file"
    add("--policy", metavar="NAME|FILE", help=policy)
    add("--only", type=_names, default=[], metavar="NAME,...", help="show these augmentations only")
    add("--leads", type=_names, default=[], metavar="LEAD,...", help="show these leads, such as II,V2")
    add("--credit", default="", metavar="TEXT", help="added to the footer: where the record is from")
    return parser


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _run(asked: argparse.Namespace) -> Path:
    """Checks what was asked for before any work, then makes the page and returns its path."""
    out: Path = asked.out
    if asked.data is None:
        raise GalleryError(
            "give a record to show them on: --data PATH, a WFDB record, a folder of records, or a .npy file with --fs"
        )
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
    known = [*classes(), *policies()]
    for name in asked.only:
        if name not in known:
            meant = _meant(name, known) or f"; there are {', '.join(known)}"
            raise GalleryError(f"there is no augmentation or policy {name}{meant}")
    record = read(asked.data, asked.fs)
    spelt = {lead.lower(): lead for lead in record.leads}
    for name in asked.leads:
        if name.lower() not in spelt:
            raise GalleryError(f"{record.name} has no lead {name}: it has {', '.join(record.leads)}")
    leads = [spelt[name.lower()] for name in asked.leads]
    print(f"{record.path}: {len(record.leads)} leads, {record.fs:g} Hz, {record.unit}", file=sys.stderr)
    if policy is None:
        names = [name for name in known if name in asked.only or not asked.only]
        gallery_page(_panels(names, record, leads, asked.seed), record, out, asked.credit)
        return out
    try:
        policy_page(policy, Path(asked.policy).name, record, out, leads, asked.seed)
    except ValueError as error:
        raise GalleryError(f"{asked.policy}: {error}") from None
    return out


def _meant(name: str, known: Iterable[str]) -> str:
    """Which of the known names was probably meant, if one is close."""
    lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), lower, n=1)
    return f": did you mean {lower[close[0]]}?" if close else ""


def _policy(name: str) -> Augmentation | Views:
    """A ready-made policy, or one from a file."""
    made = policies()
    if name in made:
        return made[name]()
    if not Path(name).is_file():
        raise GalleryError(f"--policy {name} is neither a file nor one of {', '.join(made)}{_meant(name, made)}")
    try:
        return load(name)
    except ModuleNotFoundError as error:
        raise GalleryError(str(error)) from None
    except (OSError, TypeError, ValueError) as error:
        raise GalleryError(f"--policy {name} cannot be used: {error}") from None


def _panels(names: Sequence[str], record: Record, leads: Sequence[str], seed: int) -> list[Panel]:
    """The panels to show; what refuses the record is left out, which is said, as is how far it is on a terminal."""
    augmented, made = classes(), policies()
    other = neighbour(record) if any(issubclass(augmented.get(name, Panel), Mixing) for name in names) else None
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""
    panels = []
    for i, name in enumerate(names):
        if clear:
            print(f"{clear}{i + 1} of {len(names)}: {name}", end="", file=sys.stderr, flush=True)
        try:
            if name in augmented:
                panels.append(augmentation_panel(augmented[name], record, other, leads, seed))
            else:
                panels.append(policy_panel(name, made[name], record, leads, seed))
        except ValueError as error:
            print(f"{clear}{name} is left out: {error}", file=sys.stderr)
    print(clear, end="", file=sys.stderr, flush=True)
    if not panels:
        raise GalleryError(f"nothing is left to show of {record.name}")
    return panels
