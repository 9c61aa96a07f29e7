"""Steps that run detached on a host, and the session that starts and watches them."""
