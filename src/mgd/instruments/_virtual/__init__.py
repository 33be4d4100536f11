"""A simulated chip behind a real wire: it speaks SCPI as a bench instrument does."""
