"""A frugal self-driving lab: the words, the loop and the memory. Start at `Campaign`.

Users import only from here. What there is stands in `__init__.pyi`; it is loaded on first use, so the import itself costs nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
