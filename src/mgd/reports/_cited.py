"""How a result of this library is cited. CITATION.cff says the same; a test compares them."""

from .._version import __version__

_SOFTWARE = """@software{{mgd,
  title   = {{mgd: training hardware neural networks by multiplexed gradient descent}},
  author  = {{{{The mgd maintainers}}}},
  version = {{{version}}},
  license = {{Apache-2.0}}
}}"""
_PAPER = """@article{mccaughan2023multiplexed,
  title         = {Multiplexed gradient descent: Fast online training of modern datasets on hardware neural networks
                   without backpropagation},
  author        = {McCaughan, Adam N. and Oripov, Bakhrom G. and Ganesh, Natesh and Nam, Sae Woo and
                   Dienstfrey, Andrew and Buckley, Sonia M.},
  journal       = {APL Machine Learning},
  volume        = {1},
  number        = {2},
  pages         = {026118},
  year          = {2023},
  eprint        = {2303.03986},
  archiveprefix = {arXiv}
}"""


def bibtex(version: str = __version__) -> str:
    """The library, in the version that computed a result, and the paper of the algorithm, as BibTeX."""
    return f"{_SOFTWARE.format(version=version)}\n\n{_PAPER}"
