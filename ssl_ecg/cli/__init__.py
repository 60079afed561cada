"""The layer all commands share: constructors are the configuration, jsonargparse checks and builds it.

A command is a plain function with typed, documented arguments:

    def pretrain(data: Source, method: Method, *, batch_size: int = 256) -> None: ...

    def main() -> None:
        with cli.reporting_errors():
            parsed = cli.parse(pretrain, defaults={"method": "SimCLR", "method.encoder": "ResNet1d"})
            parsed.set("method.encoder.in_channels", len(parsed.config["preprocessing"]["leads"]))
            pretrain(**parsed.instantiate())

An argument named `config` is no setting: the command gets the resolved configuration there, and in one named
`defaults` the same with the classes chosen and every other setting at its default.
"""

from ssl_ecg.cli.parsing import Parsed, parse, reporting_errors, run
from ssl_ecg.cli.settings import UsageError

__all__ = ["Parsed", "UsageError", "parse", "reporting_errors", "run"]
