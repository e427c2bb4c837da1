"""Pauses for collecting garbage, kept short.

Ray collects everything in a process every few seconds. With all of pandas and a release loaded,
which stay as they are, that is a pause of a tenth of a second and more for whoever asks just then.
"""

import gc


def settle() -> None:
    """Leave what is loaded by now out of later collections; what is let go of is freed anyway."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
