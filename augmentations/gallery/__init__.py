"""Every augmentation on a real record, before and after, on one page: what to look at before choosing.

    python -m augmentations.gallery --data RECORD --out gallery.png

Needs `wfdb` (for WFDB records) and `matplotlib` besides torch.
"""

from augmentations.gallery.command import main

__all__ = ["main"]
