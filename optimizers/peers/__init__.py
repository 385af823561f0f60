"""Other people's optimizers as strategies: one file a library, each an optional extra, over what `peer.py` tells all of them."""
