"""The command line: what it accepts, what it says of what it does not, what it shows."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import subprocess
import sys
import textwrap
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from ssl_ecg import cli
from ssl_ecg.cli import Parsed, UsageError
from ssl_ecg.errors import DataError

# --- a toy of every kind of thing a command takes -------------------------------------------------------------


class Net(ABC):
    """What turns windows into embeddings."""

    @abstractmethod
    def dim(self) -> int:
        """Length of an embedding."""


class Resnet(Net):
    """A residual network.

    Args:
        in_channels: number of leads.
        width: channels of the first block.
        depth: number of blocks.
    """

    def __init__(self, in_channels: int, width: int = 16, depth: int = 2) -> None:
        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth}")
        self.in_channels, self.width, self.depth = in_channels, width, depth

    def dim(self) -> int:
        return self.width


class Mobilenet(Net):
    """A small network.

    Args:
        in_channels: number of leads.
        width: channels of the first block.
    """

    def __init__(self, in_channels: int, width: int = 8) -> None:
        self.in_channels, self.width = in_channels, width

    def dim(self) -> int:
        return self.width


class Change(ABC):  # noqa: B024  (like a base without abstract methods)
    """An augmentation."""

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"p is a probability, not {p}")
        self.p = p


class Noise(Change):
    """Adds noise.

    Args:
        snr: range of the signal-to-noise ratio, dB.
        p: probability.
    """

    def __init__(self, snr: tuple[float, float] = (5.0, 20.0), p: float = 0.5) -> None:
        super().__init__(p)
        self.snr = snr


class Wander(Change):
    """Sways the baseline."""


class Learner(ABC):  # noqa: B024
    """A self-supervised method.

    Args:
        net: what is trained.
        changes: augmentations.
        lr: learning rate.
    """

    def __init__(self, net: Net, changes: list[Change] | None = None, lr: float = 1e-3) -> None:
        self.net, self.changes, self.lr = net, changes, lr


class Contrast(Learner):
    """Attracts two views of one window.

    Args:
        temperature: of the softmax.
    """

    def __init__(self, net: Net, temperature: float = 0.1, **kwargs: Any) -> None:
        super().__init__(net, **kwargs)
        self.temperature = temperature


class Bootstrap(Learner):
    """Predicts a slow copy of itself.

    Args:
        momentum: of the copy.
    """

    def __init__(self, net: Net, momentum: float = 0.99, **kwargs: Any) -> None:
        super().__init__(net, **kwargs)
        self.momentum = momentum


@dataclass(frozen=True)
class Prep:
    """How signals are prepared.

    Args:
        fs: sampling rate, Hz.
        leads: which leads, in order.
        norm: what is normalised.
    """

    fs: float = 100.0
    leads: tuple[str, ...] = ("II",)
    norm: Literal["window", "none"] = "window"


def train(
    learner: Learner,
    prep: Prep,
    batch_size: int = 256,
    *,
    name: str | None = None,
    log: bool = False,
    rate: float | Literal["auto"] = "auto",
) -> None:
    """Train a network on ECG.

    It goes on where it stopped.

    Args:
        learner: how to learn.
        prep: what the network sees.
        batch_size: windows per step.
        name: of the run.
        log: keep a log.
        rate: of steps.

    Examples:
        python -m toy.train
        python -m toy.train --learner Bootstrap --learner.net.width 32
    """


def score(run: Path, *, batch_size: int = 1) -> None:
    """Score a run.

    Args:
        run: its folder.
    """


DEFAULTS = {"learner": "Contrast", "learner.net": "Resnet"}
FILLED = {"learner.net.in_channels": 1}


def parse(*argv: str, defaults: dict[str, Any] | None = None) -> Parsed:
    return cli.parse(train, argv, defaults=DEFAULTS if defaults is None else defaults, filled=FILLED)


def error(*argv: str, defaults: dict[str, Any] | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        parse(*argv, defaults=defaults)
    message = str(caught.value)
    assert len(message.splitlines()) <= 2
    assert all(internal not in message for internal in ("init_args", "class_path", "Parser key", "<class", "Union"))
    return message


def args(parsed: Parsed, *path: str) -> dict[str, Any]:
    """The settings of the class chosen at a path of the configuration."""
    here: Any = parsed.config
    for name in path:
        here = here[name]["init_args"]
    return dict(here)


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        textwrap.dedent("""
            learner:
              class_path: Contrast
              init_args:
                temperature: 0.5
                lr: 0.01
                net: {class_path: Resnet, init_args: {width: 64, depth: 9}}
                changes:
                  - {class_path: Noise, p: 0.9}
                  - Wander
            prep: {fs: 250}
            batch_size: 32
        """)
    )
    return str(path)


# --- what it accepts --------------------------------------------------------------------------------------------


def test_defaults_of_the_command_and_of_the_constructors() -> None:
    parsed = parse()
    assert parsed.config == {
        "learner": {
            "class_path": f"{__name__}.Contrast",
            "init_args": {
                "net": {"class_path": f"{__name__}.Resnet", "init_args": {"in_channels": 1, "width": 16, "depth": 2}},
                "temperature": 0.1,
                "changes": None,
                "lr": 0.001,
            },
        },
        "prep": {"fs": 100.0, "leads": ["II"], "norm": "window"},
        "batch_size": 256,
        "name": None,
        "log": False,
        "rate": "auto",
    }
    built = parsed.instantiate()
    assert isinstance(built["learner"], Contrast)
    assert isinstance(built["learner"].net, Resnet)
    assert built["prep"] == Prep()


def test_nested_options_in_any_order_with_and_without_equals_sign() -> None:
    parsed = parse(
        "--learner.net.width=5",
        "--learner.net",
        "Mobilenet",
        "--learner=Bootstrap",
        "--batch-size",
        "3",
        "--rate",
        "1e-2",
    )
    assert args(parsed, "learner", "net") == {"in_channels": 1, "width": 5}
    assert args(parsed, "learner")["momentum"] == 0.99
    assert (parsed.config["batch_size"], parsed.config["rate"]) == (3, 0.01)


def test_the_command_line_wins_over_files_wherever_it_stands(recipe: str) -> None:
    parsed = parse("--batch_size", "7", "--config", recipe)
    assert (parsed.config["batch_size"], parsed.config["prep"]["fs"]) == (7, 250.0)
    assert args(parsed, "learner", "net") == {"in_channels": 1, "width": 64, "depth": 9}


def test_a_file_may_be_written_like_the_options(tmp_path: Path) -> None:
    path = tmp_path / "flat.yaml"
    path.write_text("learner: Bootstrap\nlearner.momentum: 0.9\nlearner.net.width: 4\nprep.leads: [I, II]\n")
    parsed = parse("--config", str(path))
    assert args(parsed, "learner")["momentum"] == 0.9
    assert args(parsed, "learner", "net")["width"] == 4
    assert parsed.config["prep"]["leads"] == ["I", "II"]


def test_later_files_win(recipe: str, tmp_path: Path) -> None:
    path = tmp_path / "more.yaml"
    path.write_text("batch_size: 8\nlearner: {net: {depth: 3}}\n")
    parsed = parse("--config", recipe, f"--config={path}")
    assert parsed.config["batch_size"] == 8
    assert args(parsed, "learner", "net") == {"in_channels": 1, "width": 64, "depth": 3}


def test_the_configuration_reproduces_itself(recipe: str, tmp_path: Path) -> None:
    parsed = parse("--config", recipe, "--prep.leads", "II,V5", "--name", "none", "--log")
    path = tmp_path / "config.yaml"
    path.write_text(parsed.to_yaml())
    again = parse("--config", str(path), defaults={})
    assert again.config == parsed.config == yaml.safe_load(parsed.to_yaml())
    assert again.notes == []


def test_print_config_prints_it_and_stops(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse("--config", recipe, "--print_config")
    assert stop.value.code == 0
    printed, config = yaml.safe_load(capsys.readouterr().out), parse("--config", recipe).config
    del config["learner"]["init_args"]["net"]["init_args"]["in_channels"]  # filled in, not given
    assert printed == config


@pytest.mark.parametrize("text", ["II,V1", "[II, V1]", "['II', 'V1']", "(II, V1)"])
def test_lists(text: str) -> None:
    assert parse("--prep.leads", text).instantiate()["prep"].leads == ("II", "V1")


@pytest.mark.parametrize("text", ["none", "None", "null"])
def test_none(text: str) -> None:
    assert parse(f"--name={text}").config["name"] is None


@pytest.mark.parametrize(
    ("argv", "value"),
    [(["--log"], True), (["--log", "--name", "x"], True), (["--log=True"], True), (["--log", "false"], False)],
)
def test_booleans(argv: list[str], value: bool) -> None:
    assert parse(*argv).config["log"] is value


def test_a_name_of_digits_stays_text_and_a_value_may_be_negative() -> None:
    assert parse("--name", "123").config["name"] == "123"
    assert parse("--rate", "-1.5").config["rate"] == -1.5


def test_positional_argument() -> None:
    assert cli.parse(score, ["runs/x", "--batch_size", "2"]).instantiate() == {"run": Path("runs/x"), "batch_size": 2}
    with pytest.raises(UsageError, match=r"--run is missing: its folder"):
        cli.parse(score, [])
    with pytest.raises(UsageError, match="'b' stands alone"):
        cli.parse(score, ["a", "b"])


def test_a_flag_before_a_positional_argument_does_not_swallow_it() -> None:
    def command(run: Path, *, validate: bool = False, learner: Learner | None = None) -> None:
        """Do it."""

    for argv, value in (
        (["--validate", "runs/x"], True),
        (["--validate", "false", "runs/x"], False),
        (["runs/x", "--validate", "true"], True),
    ):
        assert cli.parse(command, argv).instantiate("run", "validate") == {"run": Path("runs/x"), "validate": value}


def test_a_list_of_classes() -> None:
    built = parse(
        "--learner.changes", "Noise,Wander", "--learner.changes.0.snr=1,2", "--learner.changes.1.p", "0.1"
    ).instantiate()
    noise, wander = built["learner"].changes
    assert (type(noise), noise.snr, noise.p) == (Noise, (1.0, 2.0), 0.5)
    assert (type(wander), wander.p) == (Wander, 0.1)


def test_one_item_of_a_list_of_classes_in_a_file_can_be_changed(recipe: str) -> None:
    built = parse("--config", recipe, "--learner.changes.0.snr", "[1, 2]").instantiate()
    noise, wander = built["learner"].changes
    assert (noise.snr, noise.p, type(wander)) == ((1.0, 2.0), 0.9, Wander)


# --- another class than the file's ----------------------------------------------------------------------------


def test_changing_the_class_keeps_what_is_shared_and_says_what_is_left_out(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parsed = parse("--config", recipe, "--learner", "Bootstrap", "--learner.net", "Mobilenet")
    learner = args(parsed, "learner")
    assert (learner["lr"], learner["momentum"], "temperature" in learner) == (0.01, 0.99, False)
    assert args(parsed, "learner", "net") == {"in_channels": 1, "width": 64}
    assert capsys.readouterr().err.splitlines() == [
        f"note: --learner Bootstrap leaves out temperature, given for Contrast in {recipe}",
        f"note: --learner.net Mobilenet leaves out depth, given for Resnet in {recipe}",
    ]


def test_changing_the_class_of_the_commands_own_defaults_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    parse("--learner", "Bootstrap", defaults={**DEFAULTS, "learner.temperature": 1.0})
    assert capsys.readouterr().err == ""


def test_another_class_keeps_the_parts_of_the_commands_own_defaults_but_not_their_numbers() -> None:
    defaults = {**DEFAULTS, "learner.net.width": 4}

    def width(*argv: str) -> int:
        return int(parse(*argv, defaults=defaults).config["learner"]["init_args"]["net"]["init_args"]["width"])

    assert width() == 4
    assert width("--learner", "Bootstrap") == 4  # its net is the same
    assert width("--learner.net", "Mobilenet") == 8  # of its own
    assert width("--learner.net", "Mobilenet", "--learner.net.width", "5") == 5


# --- values that follow from others ---------------------------------------------------------------------------


def test_the_command_fills_in_what_follows() -> None:
    parsed = parse("--prep.leads", "II,V1")
    parsed.set("learner.net.in_channels", len(parsed.config["prep"]["leads"]))
    assert parsed.instantiate()["learner"].net.in_channels == 2


def test_what_follows_cannot_be_given_otherwise() -> None:
    parsed = parse("--learner.net.in_channels", "3")
    with pytest.raises(UsageError, match=r"--learner.net.in_channels is 3 but must be 2 because prep has two leads"):
        parsed.set("learner.net.in_channels", 2, "prep has two leads")
    parsed.set("learner.net.in_channels", 3)


def test_a_command_may_take_the_resolved_configuration() -> None:
    def command(size: int = 1, config: dict[str, Any] | None = None) -> None:
        """Do it."""

    parsed = cli.parse(command, ["--size", "2"])
    assert parsed.config == {"size": 2}
    assert parsed.instantiate() == {"size": 2, "config": {"size": 2}}
    assert parsed.instantiate("size") == {"size": 2}


def test_a_class_that_lacks_what_is_filled_in() -> None:
    with pytest.raises(UsageError, match=r"--learner.net.fs is needed, but Resnet has no setting fs"):
        parse().set("learner.net.fs", 2)


def test_objects_are_built_once_and_on_demand() -> None:
    parsed = parse()
    prep = parsed.instantiate("prep")["prep"]
    learner = parsed.instantiate("learner")["learner"]
    everything = parsed.instantiate()
    assert everything["prep"] is prep
    assert everything["learner"] is learner
    with pytest.raises(RuntimeError, match="set after it was built"):
        parsed.set("learner.net.in_channels", 2)


def test_what_a_constructor_refuses_names_the_class() -> None:
    with pytest.raises(UsageError, match="Resnet: depth must be at least 1, not 0"):
        parse("--learner.net.depth", "0").instantiate()


def test_what_a_constructor_refuses_is_said_alone_where_none_is_allowed_too() -> None:
    with pytest.raises(UsageError) as caught:
        parse("--learner.changes", "Wander,Noise", "--learner.changes.1.p", "2").instantiate()
    assert str(caught.value) == "Noise: p is a probability, not 2.0"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("--method.optimiser.lr -1", "AdamW: lr must be positive, not -1.0"),
        (
            "--method.optimiser LARS --method.optimiser.weight_decay 0",
            "LARS needs a positive weight_decay: without one",
        ),
        ("--method BYOL --method.optimiser.warmup 1", "AdamW: warmup is a share of all steps, 0 to under 1, not 1.0"),
    ],
)
def test_what_an_optimiser_refuses_is_one_line(argv: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    from ssl_ecg import pretrain

    with pytest.raises(SystemExit) as stop:
        pretrain.main(argv.split())
    (line,) = capsys.readouterr().err.splitlines()
    assert (stop.value.code, line[: len(says) + 7]) == (2, f"error: {says}")


# --- what it says of mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--batchsize 4", "there is no option --batchsize; did you mean --batch_size?"),
        ("--batch 4", "there is no option --batch; did you mean --batch_size?"),
        ("--temperature 4", "there is no option --temperature; did you mean --learner.temperature?"),
        (
            "--learner.temprature 4",
            "--learner.temprature: Contrast has no setting temprature; did you mean temperature?",
        ),
        ("--learner.momentum 4", "--learner.momentum: Contrast has no setting momentum; Bootstrap has"),
        ("--learner.net.widht 4", "--learner.net.widht: Resnet has no setting widht; did you mean width?"),
        ("--prep.fss 4", "--prep.fss: Prep has no setting fss; did you mean fs?"),
        ("--prep window", "--prep takes no value of its own; it has the settings fs, leads, norm"),
        (
            "--learner Contrats",
            "--learner: there is no Learner called 'Contrats'; did you mean Contrast?\n"
            "known: Bootstrap, Contrast; or the dotted path of your own class",
        ),
        (
            "--learner.net resnet",
            "--learner.net: there is no Net called 'resnet'; did you mean Resnet?\n"
            "known: Mobilenet, Resnet; or the dotted path of your own class",
        ),
        ("--batch_size four", "--batch_size must be int, not 'four'"),
        ("--batch_size 4.5", "--batch_size must be int, not '4.5'"),
        ("--rate fast", "--rate must be float or auto, not 'fast'"),
        ("--prep.norm all", "--prep.norm must be window|none, not 'all'"),
        ("--learner.net.width x", "--learner.net.width must be int, not 'x'"),
        (
            "--learner.changes Noise --learner.changes.0.snr 1",
            "--learner.changes.0.snr must be float,float, not '[1]'",
        ),
        (
            "--learner.changes Noise --learner.changes.4.p 1",
            "--learner.changes.4: --learner.changes is a list of 1, counted from 0",
        ),
        ("--batch_size", "--batch_size needs a value (int)"),
        ("--config", "--config needs a file"),
        ("fast", "'fast' stands alone: options are written --NAME VALUE"),
    ],
)
def test_mistakes_on_the_command_line(argv: str, message: str) -> None:
    assert error(*argv.split()) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batchsize: 4", "FILE: there is no option batchsize; did you mean batch_size?"),
        (
            "learner: {temprature: 4}",
            "FILE: learner.temprature: Contrast has no setting temprature; did you mean temperature?",
        ),
        (
            "learner.net: {class_path: Resnett}",
            "FILE: learner.net: there is no Net called 'Resnett'; did you mean Resnet?",
        ),
        ("prep: {fs: fast}", "FILE: prep.fs must be float, not 'fast'"),
        ("learner.changes: [Noyse]", "FILE: learner.changes.0: there is no Change called 'Noyse'; did you mean Noise?"),
        ("learner.changes: [{p: 1}]", "FILE: learner.changes.0: choose the class first, one of Noise, Wander"),
        ("- a", "--config: FILE holds no settings, NAME: VALUE a line, but ['a']"),
        ("a: b: c", "--config: FILE is not YAML: mapping values are not allowed here"),
    ],
)
def test_mistakes_in_a_file(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    assert error("--config", str(path)).replace(str(path), "FILE").startswith(message)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert error("--config", "nowhere.yaml") == "--config: cannot read nowhere.yaml: No such file or directory"
    assert "Is a directory" in error("--config", str(tmp_path))


def test_what_is_required() -> None:
    assert error(defaults={}) == "--learner is missing: one of Bootstrap, Contrast"
    assert error("--learner", "Contrast", defaults={}) == "Contrast needs --learner.net: one of Mobilenet, Resnet"
    assert error("--learner.lr", "1", defaults={}) == "--learner: choose the class first, one of Bootstrap, Contrast"


@pytest.mark.parametrize(
    ("raised", "code", "printed"),
    [
        (UsageError("no option --x\nknown: --y"), 2, "error: no option --x\n       known: --y\n"),
        (DataError("a.dat is truncated"), 1, "error: a.dat is truncated\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_exit_codes(raised: BaseException, code: int, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop, cli.reporting_errors():
        raise raised
    assert (stop.value.code, capsys.readouterr().err) == (code, printed)


def test_bugs_are_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), cli.reporting_errors():
        raise ZeroDivisionError


# --- help -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def help_text() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        out = io.StringIO()
        with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as stop:
            parse("--help")
    assert stop.value.code == 0
    return out.getvalue()


@pytest.mark.parametrize(
    "line",
    [
        f"usage: python -m {__name__} [--config FILE] [--OPTION VALUE ...]",
        "Train a network on ECG.",
        "It goes on where it stopped.",
        "  python -m toy.train --learner Bootstrap --learner.net.width 32",
        "  --learner Learner                   how to learn. One of Bootstrap, Contrast, or the dotted path",
        "  --batch_size int                    windows per step. [default: 256]",
        "  --log true|false                    keep a log. [default: false]",
        "  --rate float or auto                of steps. [default: auto]",
        "Prep: what the network sees",
        "  --prep.leads list of str            which leads, in order. [default: II]",
        "  --prep.norm window|none             what is normalised. [default: window]",
        "Learners (--learner NAME): A self-supervised method",
        "    --learner.net Net                 what is trained. [default: Resnet]",
        "  Contrast: Attracts two views of one window",
        "    --learner.temperature float       of the softmax. [default: 0.1]",
        "Nets (--learner.net NAME): What turns windows into embeddings",
        "    --learner.net.depth int           number of blocks. [default: 2]",
        "Changes (--learner.changes NAME,NAME,...; N counts from 0): An augmentation",
        "    --learner.changes.N.snr float,float",
    ],
)
def test_help_lists(line: str, help_text: str) -> None:
    wanted = " ".join(line.split())
    assert any(" ".join(shown.split()).startswith(wanted) for shown in help_text.splitlines())


def test_help_is_narrow_plain_and_free_of_internals(help_text: str) -> None:
    assert max(map(len, help_text.splitlines())) <= 100
    assert "\x1b" not in help_text
    for internal in ("init_args", "class_path", "null", "CLASS_PATH", "__main__", "in_channels", "<"):
        assert internal not in help_text


# --- the real thing ---------------------------------------------------------------------------------------------


MODULES = {
    "toy_nets": '''
        from abc import ABC, abstractmethod

        class Net(ABC):
            """What is trained."""

            @abstractmethod
            def size(self) -> int: ...

        class Resnet(Net):
            """A residual network.

            Args:
                width: channels.
            """

            def __init__(self, width: int = 16) -> None:
                self.width = width

            def size(self) -> int:
                return self.width
    ''',
    "toy_train": '''
        from ssl_ecg import cli
        from ssl_ecg.errors import DataError
        from toy_nets import Net

        def train(net: Net, *, fail: bool = False) -> None:
            """Train.

            Args:
                net: the network.
            """
            if fail:
                raise DataError("100.dat is truncated")
            print(type(net).__name__, net.size())

        if __name__ == "__main__":
            with cli.reporting_errors():
                train(**cli.parse(train, defaults={"net": "Resnet"}).instantiate())
    ''',
    "my_nets": """
        from toy_nets import Net

        class MyNet(Net):
            def __init__(self, heads: int = 4) -> None:
                self.heads = heads

            def size(self) -> int:
                return self.heads

        class Half(Net):
            pass
    """,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `python -m toy_train` works, and a user has a module of their own."""
    folder = tmp_path_factory.mktemp("command")
    for name, text in MODULES.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    return folder


@pytest.mark.parametrize(
    ("argv", "code", "out", "err"),
    [
        ("", 0, "Resnet 16\n", ""),
        ("--net.width=32", 0, "Resnet 32\n", ""),
        ("--net my_nets.MyNet --net.heads 8", 0, "MyNet 8\n", ""),
        ("--help", 0, "usage: python -m toy_train [--config FILE]", ""),
        ("--net.widht 32", 2, "", "--net.widht: Resnet has no setting widht; did you mean width?"),
        ("--net my_nets.MyNett", 2, "", "--net: my_nets has no class MyNett; did you mean MyNet?"),
        ("--net my_nets.Half", 2, "", "--net: my_nets.Half is abstract: it does not define size"),
        ("--net pathlib.Path", 2, "", "--net: pathlib.Path is not a subclass of toy_nets.Net"),
        ("--net no.such.Net", 2, "", "--net: cannot import no.such.Net: No module named 'no'"),
        ("--fail", 1, "", "100.dat is truncated"),
    ],
)
def test_end_to_end(argv: str, code: int, out: str, err: str, folder: Path) -> None:
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-m", "toy_train", *argv.split()],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, f"error: {err}\n" if err else "")
    assert done.stdout.startswith(out)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"root": "my data/ptb xl", "labels": "form", "rate": 500},
        {"root": "x", "leads": ["I", "II"], "download": False},
    ],
)
def test_a_line_to_try_next_is_read_as_it_was_meant(settings: dict[str, Any]) -> None:
    from ssl_ecg.cli.help import chosen, command_line
    from ssl_ecg.cli.settings import settings_of
    from ssl_ecg.data.sources import PTBXL, Source
    from ssl_ecg.probe import Probe

    given = {name: value for name, value in settings.items() if name in settings_of(PTBXL)}
    first = cli.parse(Probe, ["run", "--data=PTBXL", *(f"--data.{k}={_line(v)}" for k, v in given.items())])
    line = command_line("probe", "runs/a b", **chosen("data", Source, first.config["data"]))
    words = shlex.split(line)
    assert words[:4] == ["python", "-m", "ssl_ecg.probe", "runs/a b"]
    assert words[4:6] == ["--data", "PTBXL"]
    assert len(words) == 6 + 2 * len(given)  # what is at its default is not said
    again = cli.parse(Probe, words[3:])
    assert again.config["data"] == first.config["data"]


def test_a_line_to_try_next_has_what_is_required_and_all_digits() -> None:
    from ssl_ecg.cli.help import chosen, command_line

    net = {"class_path": f"{__name__}.Resnet", "init_args": {"in_channels": 2, "width": 16, "depth": 3}}
    assert chosen("net", Net, net) == {"net": "Resnet", "net.in_channels": 2, "net.depth": 3}

    line = command_line("pretrain", **{"preprocessing.fs": 257.1234567, "n": 1234567.0, "x": (0.1234567, 2.0)})
    assert "--preprocessing.fs 257.1234567 --n 1234567.0 --x 0.1234567,2.0" in line


def _line(value: object) -> str:
    return ",".join(value) if isinstance(value, list) else str(value).lower() if value is False else str(value)
