"""What tests of all rooms use: services, databases, certificates, an sshd."""
