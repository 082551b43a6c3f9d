"""Reports: what was found, as a table, JSON, CSV, a page or a figure."""
