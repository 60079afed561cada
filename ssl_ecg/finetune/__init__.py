"""Fine-tune a pretrained encoder on labels."""

from ssl_ecg.finetune.command import finetune, main

__all__ = ["finetune", "main"]
