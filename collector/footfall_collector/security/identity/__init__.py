"""Who is asking: a key, a session's token, a JWT, a proxy that is trusted, or a developer (`Identities`)."""
