"""Which service is spoken to, and who we are to it: profiles, and where secrets are kept."""
