"""The product's own database: rows by area, session, migrations."""
