"""The service as a whole: a process, a socket, sshd, and both engines."""
