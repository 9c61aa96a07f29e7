"""Steps that run detached."""
