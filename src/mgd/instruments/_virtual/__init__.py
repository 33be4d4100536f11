"""A simulated chip behind a real socket, which speaks SCPI like a bench instrument."""
