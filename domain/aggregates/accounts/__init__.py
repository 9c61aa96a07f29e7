"""Who may do what: users, tokens and sessions."""
