"""Fine-tune a pretrained encoder on labels."""

from ssl_ecg.finetune.command import Finetune, main

__all__ = ["Finetune", "main"]
