"""Who somebody is to a service, and whom `commctl` trusts."""
