"""A page that lets learners play with softmax, on the library's own kernels in WebAssembly.

The page is one file with everything in it, and needs no network and no server.
"""

from ._page import playground_html

__all__ = ["playground_html"]
