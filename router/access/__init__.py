"""Who may ask: keys to tenants, and the admin's door."""
