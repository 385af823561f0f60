"""Serial lines: ports, framing, and stand-ins of firmware."""
