"""The layer all commands share: constructors are the configuration, jsonargparse checks and builds it.

A command is a dataclass of its typed, documented settings with a method `run`, or a function; `cli.run` does it all:

    @dataclass
    class Probe:
        checkpoint: str
        data: Source

        def run(self) -> None: ...

    def main() -> None:
        cli.run(Probe)

An argument named `config` is no setting: the command gets the resolved configuration there, and in one named
`defaults` the same with the classes chosen and every other setting at its default.
"""

try:
    from ssl_ecg.cli.parsing import Parsed, parse, reporting_errors, run
    from ssl_ecg.cli.settings import UsageError
except ModuleNotFoundError as error:  # an encoder is used without all that
    if (error.name or "").startswith("ssl_ecg"):
        raise
    raise ImportError(f"the commands need {error.name}, and more: pip install 'ssl-ecg[train]'") from None

__all__ = ["Parsed", "UsageError", "parse", "reporting_errors", "run"]
