-- The same job in PostgreSQL, as fast as we could make it: a batch comes as arrays, and each step
-- is one statement over all of it. What a person's attributes are stands in the profile, so that
-- a visit is one update of one row, within its page (HOT: no index has what changes, and the fill
-- factor leaves room). Interests, cohorts and senders are numbers.

DROP SCHEMA IF EXISTS best CASCADE;
CREATE SCHEMA best;
SET search_path = best;

-- What was said of an attribute, and by which row. Ordered by its columns, left to right, so the
-- latest statement wins by `greatest`; of one moment, the greater value.
CREATE TYPE statement AS (at timestamptz, value text, raw bigint);

-- RAW: a row's number is its batch's, times 65,536, plus its place in it.
CREATE TABLE batch (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    source text NOT NULL,
    received_at timestamptz NOT NULL
);
CREATE SEQUENCE batch_id;
CREATE TABLE raw (
    id bigint PRIMARY KEY,
    source text NOT NULL,
    message_id text,
    cookie text,
    verbatim text NOT NULL
);
CREATE UNIQUE INDEX raw_message ON raw (message_id, source) WHERE message_id IS NOT NULL;
CREATE INDEX raw_cookie ON raw (cookie);
CREATE TABLE reject (raw bigint PRIMARY KEY, reasons jsonb NOT NULL);

-- STRUCTURED.
CREATE SEQUENCE profile_id AS int CACHE 1;
CREATE TABLE profile (
    id int PRIMARY KEY,
    merged_into int,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    first_name statement, last_name statement, phone statement,
    city statement, state statement, country statement,
    age statement, gender statement, education statement, income statement
) WITH (fillfactor = 60);
CREATE TABLE cookie (cookie text PRIMARY KEY, profile int NOT NULL);
CREATE INDEX cookie_profile ON cookie (profile);
CREATE TABLE email (email text PRIMARY KEY, profile int NOT NULL);
CREATE INDEX email_profile ON email (profile);
CREATE TABLE seen_with (
    cookie text, email text, raw bigint NOT NULL, at timestamptz NOT NULL,
    PRIMARY KEY (cookie, email)
);
CREATE TABLE profile_interest (
    profile int, interest int,
    display text NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    PRIMARY KEY (profile, interest)
) WITH (fillfactor = 80);
CREATE TABLE merge (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    survivor int NOT NULL,
    absorbed int NOT NULL,
    cookies text[] NOT NULL,
    emails text[] NOT NULL,
    raw bigint NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX merge_survivor ON merge (survivor);
CREATE INDEX merge_absorbed ON merge (absorbed);

-- SEGMENTED. Scores below 0.4 are no evidence, and are not here.
CREATE TABLE interest (id int PRIMARY KEY, interest text UNIQUE NOT NULL);
CREATE TABLE cohort (id int PRIMARY KEY, slug text UNIQUE NOT NULL, threshold float8 NOT NULL);
CREATE TABLE score (interest int, cohort int, score float8 NOT NULL, PRIMARY KEY (interest, cohort));
CREATE TABLE member (
    cohort int, profile int,
    score float8 NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (cohort, profile)
) WITH (fillfactor = 80);
CREATE INDEX member_profile ON member (profile);

-- The scratch tables of a connection. Temporary ones are never logged.
CREATE PROCEDURE prepare_connection() LANGUAGE sql AS $$
    -- A batch as sent, without what was refused or repeats itself.
    CREATE TEMP TABLE sent (
        raw bigint, number int, cookie text, email text, at timestamptz,
        first_name text, last_name text, phone text, city text, state text, country text,
        age text, gender text, education text, income text
    ) ON COMMIT DELETE ROWS;
    -- Each identifier of the batch once, and its profile: the known one, or a new one.
    CREATE TEMP TABLE by_cookie (cookie text, profile int, is_new bool) ON COMMIT DELETE ROWS;
    CREATE TEMP TABLE by_email (email text, profile int, is_new bool) ON COMMIT DELETE ROWS;
    -- Profiles that the batch ties together, and the one that stays of each group.
    CREATE TEMP TABLE link (one int, other int, raw bigint) ON COMMIT DELETE ROWS;
    CREATE TEMP TABLE label (profile int, survivor int) ON COMMIT DELETE ROWS;
    -- Rows with their people, and the absorbed, as what they know is a visit to who stays.
    CREATE TEMP TABLE visit (
        profile int, first_seen timestamptz, last_seen timestamptz, number int,
        first_name best.statement, last_name best.statement, phone best.statement,
        city best.statement, state best.statement, country best.statement,
        age best.statement, gender best.statement, education best.statement, income best.statement
    ) ON COMMIT DELETE ROWS;
    -- Interests that people were heard of, with a row for each time.
    CREATE TEMP TABLE heard (
        profile int, interest int, display text, first_seen timestamptz, last_seen timestamptz
    ) ON COMMIT DELETE ROWS;
    -- Who belongs in which cohort.
    CREATE TEMP TABLE entitled (cohort int, profile int, score float8) ON COMMIT DELETE ROWS;
    CREATE INDEX ON entitled (profile, cohort);
    -- Plans that name no parameter are made once, over tables that are empty, and kept: what is
    -- large shall be looked up by its index from the start.
    SET enable_seqscan = off;
$$;

-- Which profile stays of each group that is tied together: the oldest. Every profile takes over
-- the least number among its neighbours, until none changes; a batch's groups are small, so two
-- or three times.
CREATE FUNCTION label_groups() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO label SELECT one, one FROM link UNION SELECT other, other FROM link;
    LOOP
        UPDATE label SET survivor = nearby.survivor
            FROM (
                SELECT tied.profile, min(label.survivor) AS survivor
                FROM (SELECT one AS profile, other FROM link UNION ALL SELECT other, one FROM link) AS tied
                JOIN label ON label.profile = tied.other
                GROUP BY tied.profile
            ) AS nearby
            WHERE nearby.profile = label.profile AND nearby.survivor < label.survivor;
        EXIT WHEN NOT FOUND;
    END LOOP;
END $$;

-- Finds the profile of each identifier of the batch, and ties together what belongs together.
CREATE FUNCTION identify(moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    -- Greater numbers are of this batch: only who holds the lock takes any.
    newest_before int := (SELECT last_value FROM profile_id);
BEGIN
    INSERT INTO by_cookie
        SELECT cookie, coalesce(profile, nextval('profile_id')), profile IS NULL
        FROM (
            SELECT named.cookie, (SELECT profile FROM cookie WHERE cookie.cookie = named.cookie) AS profile
            FROM (SELECT cookie, min(number) AS number FROM sent GROUP BY cookie) AS named
            ORDER BY named.number
        ) AS found;
    INSERT INTO by_email
        SELECT email, coalesce(profile, beside), profile IS NULL
        FROM (
            SELECT named.email, beside, (SELECT profile FROM email WHERE email.email = named.email) AS profile
            FROM (
                SELECT email, min(profile) AS beside FROM sent JOIN by_cookie USING (cookie)
                WHERE email IS NOT NULL GROUP BY email
            ) AS named
        ) AS found;
    INSERT INTO link
        SELECT by_cookie.profile, by_email.profile, min(sent.raw)
        FROM sent JOIN by_cookie USING (cookie) JOIN by_email USING (email)
        WHERE by_cookie.profile <> by_email.profile
        GROUP BY by_cookie.profile, by_email.profile;
    IF FOUND THEN
        PERFORM label_groups();
        UPDATE by_cookie SET profile = survivor FROM label
            WHERE label.profile = by_cookie.profile AND survivor <> by_cookie.profile;
        UPDATE by_email SET profile = survivor FROM label
            WHERE label.profile = by_email.profile AND survivor <> by_email.profile;
        -- What is left are profiles that are absorbed; new numbers are of none yet.
        DELETE FROM label WHERE survivor = profile OR profile > newest_before;
        PERFORM absorb(moment);
    END IF;
    INSERT INTO cookie SELECT cookie, profile FROM by_cookie WHERE is_new;
    INSERT INTO email SELECT email, profile FROM by_email WHERE is_new;
    INSERT INTO seen_with
        SELECT cookie, email, min(raw), min(at) FROM sent WHERE email IS NOT NULL
        GROUP BY cookie, email
        ON CONFLICT DO NOTHING;
END $$;

-- Leads all identifiers of the absorbed to those who stay. What they know follows as a visit.
CREATE FUNCTION absorb(moment timestamptz) RETURNS void LANGUAGE plpgsql
-- They are few, in tables that are large: looked up one by one.
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    WITH cookies AS (
        UPDATE cookie SET profile = survivor FROM label
        WHERE cookie.profile = label.profile RETURNING label.profile, cookie.cookie
    ), emails AS (
        UPDATE email SET profile = survivor FROM label
        WHERE email.profile = label.profile RETURNING label.profile, email.email
    )
    INSERT INTO merge (survivor, absorbed, cookies, emails, raw, at)
        SELECT survivor, profile,
            ARRAY(SELECT cookie FROM cookies WHERE cookies.profile = label.profile),
            ARRAY(SELECT email FROM emails WHERE emails.profile = label.profile),
            (SELECT min(raw) FROM link WHERE label.profile IN (one, other)), moment
        FROM label;
    INSERT INTO visit
        SELECT survivor, first_seen, last_seen, 0, first_name, last_name, phone, city, state,
            country, age, gender, education, income
        FROM label JOIN profile ON profile.id = label.profile;
    UPDATE profile SET merged_into = survivor, updated_at = moment
        FROM label WHERE profile.id = label.profile;
    WITH left_behind AS (
        DELETE FROM profile_interest AS known USING label WHERE known.profile = label.profile
        RETURNING survivor, interest, display, first_seen, last_seen
    )
    INSERT INTO heard SELECT * FROM left_behind;
    DELETE FROM member USING label WHERE member.profile = label.profile;
END $$;

-- Joins what the batch says into the profiles. Rounds, since one statement may not touch a row
-- twice; most people have one visit in a batch.
CREATE FUNCTION describe(moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO visit
        SELECT by_cookie.profile, at, at, number,
            CASE WHEN first_name IS NOT NULL THEN (at, first_name, raw)::statement END,
            CASE WHEN last_name IS NOT NULL THEN (at, last_name, raw)::statement END,
            CASE WHEN phone IS NOT NULL THEN (at, phone, raw)::statement END,
            CASE WHEN city IS NOT NULL THEN (at, city, raw)::statement END,
            CASE WHEN state IS NOT NULL THEN (at, state, raw)::statement END,
            CASE WHEN country IS NOT NULL THEN (at, country, raw)::statement END,
            CASE WHEN age IS NOT NULL THEN (at, age, raw)::statement END,
            CASE WHEN gender IS NOT NULL THEN (at, gender, raw)::statement END,
            CASE WHEN education IS NOT NULL THEN (at, education, raw)::statement END,
            CASE WHEN income IS NOT NULL THEN (at, income, raw)::statement END
        FROM sent JOIN by_cookie USING (cookie);
    FOR this_round IN 1..1000 LOOP
        INSERT INTO profile AS known
            SELECT profile, NULL, first_seen, last_seen, moment, moment, first_name, last_name,
                phone, city, state, country, age, gender, education, income
            FROM (
                SELECT *, row_number() OVER (PARTITION BY profile ORDER BY number, first_seen) AS nth
                FROM visit
            ) AS numbered
            WHERE nth = this_round
            ON CONFLICT (id) DO UPDATE SET
                first_seen = least(known.first_seen, excluded.first_seen),
                last_seen = greatest(known.last_seen, excluded.last_seen),
                updated_at = moment,
                first_name = greatest(known.first_name, excluded.first_name),
                last_name = greatest(known.last_name, excluded.last_name),
                phone = greatest(known.phone, excluded.phone),
                city = greatest(known.city, excluded.city),
                state = greatest(known.state, excluded.state),
                country = greatest(known.country, excluded.country),
                age = greatest(known.age, excluded.age),
                gender = greatest(known.gender, excluded.gender),
                education = greatest(known.education, excluded.education),
                income = greatest(known.income, excluded.income);
        EXIT WHEN NOT FOUND;
    END LOOP;
END $$;

-- Adds the interests of the batch, and those of the absorbed.
CREATE FUNCTION add_interests(numbers int[], interests text[], displays text[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO heard
        SELECT by_cookie.profile,
            (SELECT id FROM interest WHERE interest.interest = named.interest), display, at, at
        FROM unnest(numbers, interests, displays) AS named(number, interest, display)
        JOIN sent USING (number) JOIN by_cookie USING (cookie);
    INSERT INTO profile_interest AS known
        SELECT profile, interest, (array_agg(display ORDER BY last_seen DESC, display DESC))[1],
            min(first_seen), max(last_seen)
        FROM heard GROUP BY profile, interest
        ON CONFLICT (profile, interest) DO UPDATE SET
            display = CASE WHEN (excluded.last_seen, excluded.display) > (known.last_seen, known.display)
                THEN excluded.display ELSE known.display END,
            first_seen = least(known.first_seen, excluded.first_seen),
            last_seen = greatest(known.last_seen, excluded.last_seen);
END $$;

-- Works out anew who of the batch is in which cohort: the chance that at least one of a person's
-- interests speaks truly, each fading by half in 180 days before the person's own last event.
CREATE FUNCTION segment(moment timestamptz) RETURNS void LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO entitled
        SELECT score.cohort, touched.id,
            1 - exp(sum(ln(1 - least(score.score, 1 - 1e-12) * exp(
                extract(epoch FROM known.last_seen - touched.last_seen)::float8
                / 86400 / 180 * ln(2::float8)))))
        FROM (SELECT id, last_seen FROM profile WHERE id IN (SELECT DISTINCT profile FROM visit)) AS touched
        JOIN profile_interest AS known ON known.profile = touched.id
        JOIN score USING (interest)
        GROUP BY score.cohort, touched.id;
    DELETE FROM entitled USING cohort
        WHERE cohort.id = entitled.cohort AND entitled.score < cohort.threshold;
    INSERT INTO member SELECT cohort, profile, score, moment FROM entitled
        ON CONFLICT (cohort, profile) DO UPDATE SET score = excluded.score
            WHERE member.score <> excluded.score;
    -- Whoever of the batch is in a cohort no longer.
    DELETE FROM member USING (SELECT DISTINCT profile FROM visit) AS touched
        WHERE member.profile = touched.profile AND NOT EXISTS (
            SELECT FROM entitled
            WHERE entitled.cohort = member.cohort AND entitled.profile = member.profile
        );
END $$;

-- Stores a batch: one element of each array for a row, then the interests, which name their row.
CREATE FUNCTION ingest(
    batch_name text, sender text, moment timestamptz,
    numbers int[], verbatims text[], reasons text[], cookies text[], emails text[], times timestamptz[],
    message_ids text[], first_names text[], last_names text[], phones text[], cities text[],
    states text[], countries text[], ages text[], genders text[], educations text[], incomes text[],
    interest_numbers int[], interests text[], displays text[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first_id bigint := nextval('batch_id') * 65536;
BEGIN
    -- What needs no knowledge of others runs beside other connections. In the order of message
    -- ids, so that two batches with the same ones wait for each other and never in a circle.
    INSERT INTO batch VALUES (first_id, batch_name, sender, moment);
    WITH stored AS (
        INSERT INTO raw
            SELECT first_id + number, sender, message_id, cookie, verbatim
            FROM unnest(numbers, message_ids, cookies, verbatims)
                AS given(number, message_id, cookie, verbatim)
            ORDER BY message_id
            ON CONFLICT (message_id, source) WHERE message_id IS NOT NULL DO NOTHING
            RETURNING id
    )
    INSERT INTO sent
        SELECT id, number, cookie, email, at, first_name, last_name, phone, city, state, country,
            age, gender, education, income
        FROM unnest(numbers, cookies, emails, times, first_names, last_names, phones, cities,
            states, countries, ages, genders, educations, incomes)
            AS given(number, cookie, email, at, first_name, last_name, phone, city,
                state, country, age, gender, education, income)
        JOIN stored ON stored.id = first_id + number
        WHERE cookie IS NOT NULL;
    INSERT INTO reject
        SELECT first_id + number, reason::jsonb FROM unnest(numbers, reasons) AS given(number, reason)
        WHERE reason IS NOT NULL;

    -- Who is who is decided by one at a time, until it is committed: batches share people, and
    -- two that don't know of each other would make two of one.
    PERFORM pg_advisory_xact_lock(1);
    PERFORM identify(moment);
    PERFORM describe(moment);
    PERFORM add_interests(interest_numbers, interests, displays);
    PERFORM segment(moment);
END $$;

-- For comparing with the road: who has what, in the same shape as the other baseline shows it.
CREATE VIEW shown_interest AS
    SELECT profile::bigint, interest.interest, display, extract(epoch FROM first_seen)::bigint AS first_seen,
        extract(epoch FROM last_seen)::bigint AS last_seen
    FROM profile_interest JOIN interest ON interest.id = profile_interest.interest;
CREATE VIEW shown_attribute AS
    SELECT profile.id::bigint AS profile, stated.name, (stated.statement).value,
        extract(epoch FROM (stated.statement).at)::bigint AS at
    FROM profile, LATERAL (VALUES
        ('first_name', first_name), ('last_name', last_name), ('phone_number', phone),
        ('location.city', city), ('location.state', state), ('location.country', country),
        ('demographics.age', age), ('demographics.gender', gender),
        ('demographics.education', education), ('demographics.income', income)
    ) AS stated(name, statement)
    WHERE merged_into IS NULL AND stated.statement IS NOT NULL;
CREATE VIEW shown_member AS
    SELECT profile::bigint, slug AS cohort FROM member JOIN cohort ON cohort.id = member.cohort;
CREATE VIEW shown_cookie AS SELECT profile::bigint, cookie FROM cookie;
CREATE VIEW shown_email AS SELECT profile::bigint, email FROM email;
