"""How clients of old speak, byte by byte, and what they are answered."""
