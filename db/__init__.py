"""The store: PostgreSQL behind one module of SQL for each thing that is kept."""
