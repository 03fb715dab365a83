-- Requests that were refused: nothing of them is stored but that they came.

CREATE TABLE footfall.refused_daily (
    day      date NOT NULL,
    signal   text NOT NULL,
    reason   text NOT NULL,
    key      text NOT NULL,
    service  text NOT NULL,
    requests bigint NOT NULL,
    PRIMARY KEY (day, signal, reason, key, service)
);
COMMENT ON TABLE footfall.refused_daily IS
    'Requests refused per day (UTC); key: its name in the keys file, service: one that is stored; empty when not known';
