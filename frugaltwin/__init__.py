"""A frugal self-driving lab: experiments, campaigns and their store. Start at `Campaign`.

Users import only from here. The names are listed in `__init__.pyi` and loaded on first use, so the import itself costs nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
