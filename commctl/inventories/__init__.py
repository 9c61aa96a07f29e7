"""Lists of hosts from elsewhere (CSV, Ansible's inventories, lines), and back to Ansible."""
