-- The platform's job in PostgreSQL, as a good engineer would first write it: normal tables, an
-- index for each question, and a function that walks over a batch row by row and does what the
-- rules say. A batch is one transaction.

DROP SCHEMA IF EXISTS straight CASCADE;
CREATE SCHEMA straight;
SET search_path = straight;

-- RAW: every row as it came. A message id that came before is a repetition.
CREATE TABLE raw (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch text NOT NULL,
    number int NOT NULL,
    source text NOT NULL,
    received_at timestamptz NOT NULL,
    cookie text,
    message_id text,
    verbatim text NOT NULL
);
CREATE UNIQUE INDEX raw_message ON raw (source, message_id) WHERE message_id IS NOT NULL;
-- The way from a person to all that was received of them.
CREATE INDEX raw_cookie ON raw (cookie);

CREATE TABLE reject (
    raw bigint PRIMARY KEY REFERENCES raw,
    reasons jsonb NOT NULL
);

-- STRUCTURED: who is who, and what is known of them.
CREATE TABLE profile (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    merged_into bigint REFERENCES profile,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE cookie (
    cookie text PRIMARY KEY,
    profile bigint NOT NULL REFERENCES profile
);
CREATE INDEX cookie_profile ON cookie (profile);

CREATE TABLE email (
    email text PRIMARY KEY,
    profile bigint NOT NULL REFERENCES profile
);
CREATE INDEX email_profile ON email (profile);

-- The edge between the two, and the row that proves it.
CREATE TABLE seen_with (
    cookie text NOT NULL,
    email text NOT NULL,
    raw bigint NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (cookie, email)
);

-- The latest statement wins; of one moment, the greater value.
CREATE TABLE attribute (
    profile bigint NOT NULL REFERENCES profile,
    name text NOT NULL,
    value text NOT NULL,
    at timestamptz NOT NULL,
    raw bigint NOT NULL,
    PRIMARY KEY (profile, name)
);

CREATE TABLE profile_interest (
    profile bigint NOT NULL REFERENCES profile,
    interest text NOT NULL,
    display text NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    PRIMARY KEY (profile, interest)
);

CREATE TABLE merge (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    survivor bigint NOT NULL REFERENCES profile,
    absorbed bigint NOT NULL REFERENCES profile,
    cookies text[] NOT NULL,
    emails text[] NOT NULL,
    raw bigint NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX merge_survivor ON merge (survivor);
CREATE INDEX merge_absorbed ON merge (absorbed);

-- SEGMENTED: what interests mean, which is known beforehand, and who is in which cohort.
CREATE TABLE score (
    interest text NOT NULL,
    cohort text NOT NULL,
    score float8 NOT NULL,
    PRIMARY KEY (interest, cohort)
);
CREATE TABLE cohort (
    slug text PRIMARY KEY,
    threshold float8 NOT NULL
);
CREATE TABLE member (
    cohort text NOT NULL,
    profile bigint NOT NULL REFERENCES profile,
    score float8 NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (cohort, profile)
);
CREATE INDEX member_profile ON member (profile);

-- Makes two people one: the older profile stays, and all of the other's goes to it.
CREATE FUNCTION merge_profiles(survivor_id bigint, absorbed_id bigint, because bigint, moment timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    moved_cookies text[];
    moved_emails text[];
BEGIN
    WITH moved AS (
        UPDATE cookie SET profile = survivor_id WHERE profile = absorbed_id RETURNING cookie.cookie
    ) SELECT coalesce(array_agg(moved.cookie), '{}') INTO moved_cookies FROM moved;
    WITH moved AS (
        UPDATE email SET profile = survivor_id WHERE profile = absorbed_id RETURNING email.email
    ) SELECT coalesce(array_agg(moved.email), '{}') INTO moved_emails FROM moved;

    INSERT INTO attribute
        SELECT survivor_id, name, value, at, raw FROM attribute WHERE profile = absorbed_id
        ON CONFLICT (profile, name) DO UPDATE
            SET value = excluded.value, at = excluded.at, raw = excluded.raw
            WHERE (excluded.at, excluded.value) > (attribute.at, attribute.value);
    DELETE FROM attribute WHERE profile = absorbed_id;

    INSERT INTO profile_interest AS known
        SELECT survivor_id, interest, display, first_seen, last_seen
        FROM profile_interest WHERE profile = absorbed_id
        ON CONFLICT (profile, interest) DO UPDATE SET
            display = CASE WHEN (excluded.last_seen, excluded.display) > (known.last_seen, known.display)
                THEN excluded.display ELSE known.display END,
            first_seen = least(known.first_seen, excluded.first_seen),
            last_seen = greatest(known.last_seen, excluded.last_seen);
    DELETE FROM profile_interest WHERE profile = absorbed_id;

    -- Those of the survivor are worked out anew at the end of the batch.
    DELETE FROM member WHERE profile = absorbed_id;

    UPDATE profile SET
        first_seen = least(profile.first_seen, absorbed.first_seen),
        last_seen = greatest(profile.last_seen, absorbed.last_seen),
        updated_at = moment
        FROM profile AS absorbed WHERE profile.id = survivor_id AND absorbed.id = absorbed_id;
    UPDATE profile SET merged_into = survivor_id, updated_at = moment WHERE id = absorbed_id;
    INSERT INTO merge (survivor, absorbed, cookies, emails, raw, at)
        VALUES (survivor_id, absorbed_id, moved_cookies, moved_emails, because, moment);
END $$;

-- Works the memberships of people out anew: the chance that at least one of a person's interests
-- speaks truly, each fading by half in 180 days before the person's own last event.
CREATE FUNCTION segment(people bigint[], moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMP TABLE IF NOT EXISTS entitled (
        cohort text, profile bigint, score float8
    ) ON COMMIT DELETE ROWS;
    INSERT INTO entitled
        SELECT score.cohort, profile.id,
            1 - exp(sum(ln(1 - least(score.score, 1 - 1e-12) * power(0.5,
                extract(epoch FROM profile.last_seen - known.last_seen)::float8 / 86400 / 180))))
        FROM profile
        JOIN profile_interest AS known ON known.profile = profile.id
        JOIN score USING (interest)
        WHERE profile.id = ANY (people) AND profile.merged_into IS NULL AND score.score >= 0.4
        GROUP BY score.cohort, profile.id;
    DELETE FROM entitled USING cohort
        WHERE cohort.slug = entitled.cohort AND entitled.score < cohort.threshold;
    DELETE FROM member WHERE member.profile = ANY (people) AND NOT EXISTS (
        SELECT FROM entitled WHERE entitled.cohort = member.cohort AND entitled.profile = member.profile
    );
    INSERT INTO member SELECT cohort, profile, score, moment FROM entitled
        ON CONFLICT (cohort, profile) DO UPDATE SET score = excluded.score
            WHERE member.score <> excluded.score;
END $$;

-- Stores a batch, a JSON array of {number, verbatim, cookie, email, at, message_id, attributes,
-- interests}, or {number, verbatim, reasons} for a row that was refused.
CREATE FUNCTION ingest(batch_id text, sender text, moment timestamptz, records text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    sent record;
    raw_id bigint;
    by_cookie bigint;
    by_email bigint;
    person bigint;
    touched bigint[] := '{}';
BEGIN
    FOR sent IN SELECT * FROM jsonb_to_recordset(records::jsonb) AS sent(
        number int, verbatim text, cookie text, email text, at timestamptz, message_id text,
        attributes jsonb, interests jsonb, reasons jsonb)
    LOOP
        INSERT INTO raw (batch, number, source, received_at, cookie, message_id, verbatim)
            VALUES (batch_id, sent.number, sender, moment, sent.cookie, sent.message_id, sent.verbatim)
            ON CONFLICT (source, message_id) WHERE message_id IS NOT NULL DO NOTHING
            RETURNING id INTO raw_id;
        CONTINUE WHEN raw_id IS NULL;
        IF sent.reasons IS NOT NULL THEN
            INSERT INTO reject VALUES (raw_id, sent.reasons);
            CONTINUE;
        END IF;

        SELECT profile INTO by_cookie FROM cookie WHERE cookie.cookie = sent.cookie;
        SELECT profile INTO by_email FROM email WHERE email.email = sent.email;
        person := least(by_cookie, by_email);
        IF person IS NULL THEN
            INSERT INTO profile (first_seen, last_seen, created_at, updated_at)
                VALUES (sent.at, sent.at, moment, moment) RETURNING id INTO person;
        ELSE
            UPDATE profile SET first_seen = least(first_seen, sent.at),
                last_seen = greatest(last_seen, sent.at), updated_at = moment
                WHERE id = person;
        END IF;
        IF by_cookie IS NULL THEN
            INSERT INTO cookie VALUES (sent.cookie, person);
        END IF;
        IF sent.email IS NOT NULL THEN
            IF by_email IS NULL THEN
                INSERT INTO email VALUES (sent.email, person);
            ELSIF by_cookie <> by_email THEN
                PERFORM merge_profiles(person, greatest(by_cookie, by_email), raw_id, moment);
            END IF;
            INSERT INTO seen_with VALUES (sent.cookie, sent.email, raw_id, sent.at)
                ON CONFLICT DO NOTHING;
        END IF;

        INSERT INTO attribute
            SELECT person, key, value, sent.at, raw_id FROM jsonb_each_text(sent.attributes)
            ON CONFLICT (profile, name) DO UPDATE
                SET value = excluded.value, at = excluded.at, raw = excluded.raw
                WHERE (excluded.at, excluded.value) > (attribute.at, attribute.value);
        INSERT INTO profile_interest AS known
            SELECT person, key, value, sent.at, sent.at FROM jsonb_each_text(sent.interests)
            ON CONFLICT (profile, interest) DO UPDATE SET
                display = CASE WHEN (excluded.last_seen, excluded.display) > (known.last_seen, known.display)
                    THEN excluded.display ELSE known.display END,
                first_seen = least(known.first_seen, excluded.first_seen),
                last_seen = greatest(known.last_seen, excluded.last_seen);
        touched := touched || person;
    END LOOP;
    PERFORM segment(touched, moment);
END $$;

-- For comparing with the road: who has what, in the same shape as the other baseline shows it.
CREATE VIEW shown_interest AS
    SELECT profile, interest, display, extract(epoch FROM first_seen)::bigint AS first_seen,
        extract(epoch FROM last_seen)::bigint AS last_seen FROM profile_interest;
CREATE VIEW shown_attribute AS
    SELECT profile, name, value, extract(epoch FROM at)::bigint AS at FROM attribute;
CREATE VIEW shown_member AS SELECT profile, cohort FROM member;
CREATE VIEW shown_cookie AS SELECT profile, cookie FROM cookie;
CREATE VIEW shown_email AS SELECT profile, email FROM email;
