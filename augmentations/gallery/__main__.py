"""`python -m augmentations.gallery`."""

import sys

from augmentations.gallery.command import main

sys.exit(main())
