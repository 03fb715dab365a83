-- The roles of the stack, each with no more than it needs. Postgres' image runs this in a new, empty database,
-- before or after the collector's first migration makes no difference. To run it again, say with new passwords:
--   docker compose exec postgres psql -U postgres -d footfall -f /docker-entrypoint-initdb.d/roles.sql
\set ON_ERROR_STOP on
\getenv owner_password FOOTFALL_DB_PASSWORD
\getenv reader GRAFANA_DB_USER
\getenv reader_password GRAFANA_DB_PASSWORD

SELECT format('CREATE ROLE %I', name)
FROM unnest(ARRAY['footfall', 'footfall_writer', 'footfall_reader', 'footfall_public', :'reader']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

-- The collector: owns the database, and is no superuser.
ALTER ROLE footfall LOGIN PASSWORD :'owner_password';
GRANT footfall_writer, footfall_reader, footfall_public TO footfall;
ALTER DATABASE :"DBNAME" OWNER TO footfall;
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;

-- Grafana: what footfall_reader may read (the views of `reporting`), and it never waits for long.
ALTER ROLE :"reader" LOGIN PASSWORD :'reader_password';
ALTER ROLE :"reader" SET default_transaction_read_only = on;
ALTER ROLE :"reader" SET statement_timeout = '30s';
GRANT CONNECT ON DATABASE :"DBNAME" TO footfall_reader;
GRANT footfall_reader TO :"reader";

-- The superuser: from inside the container alone. The image insists on a password, so it had one until here.
ALTER ROLE :"USER" PASSWORD NULL;
