"""Arrow tables: the roles of columns, and their contents."""
