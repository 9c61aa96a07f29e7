"""Updates that wait on hosts: asked for once a day."""
