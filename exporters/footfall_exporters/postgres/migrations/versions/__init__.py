"""One module and one .sql file per revision."""
