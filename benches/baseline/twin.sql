-- The people of a platform as a plain application would keep them: normal form, keys, and an index
-- for each way to them. `rank` is the order in which things are shown.

DROP SCHEMA IF EXISTS twin CASCADE;
CREATE SCHEMA twin;
SET search_path = twin;

CREATE TABLE profile (
    id text PRIMARY KEY, primary_key text NOT NULL,
    first_name text, last_name text, phone_number text,
    city text, state text, country text,
    age bigint, gender text, education text, income text,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE cookie (
    cookie text PRIMARY KEY, profile text NOT NULL, rank int NOT NULL
);
CREATE TABLE email (
    email text PRIMARY KEY, profile text NOT NULL, rank int NOT NULL
);
CREATE TABLE interest (
    profile text NOT NULL, rank int NOT NULL, interest text NOT NULL, PRIMARY KEY (profile, rank)
);
CREATE TABLE cohort (
    slug text PRIMARY KEY, name text NOT NULL
);
CREATE TABLE member (
    profile text NOT NULL, rank int NOT NULL, cohort text NOT NULL, score real NOT NULL,
    PRIMARY KEY (profile, cohort)
);
