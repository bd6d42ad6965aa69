"""Tables, migrations and the one write primitive, `transact`."""
