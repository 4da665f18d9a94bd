"""The settings: one table, loaded from the user's config.toml and the environment."""
