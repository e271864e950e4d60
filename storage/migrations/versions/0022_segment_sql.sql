-- What sql("...") of a segment may do: read these tables, of its own app, and nothing else.
-- The function runs as a role of its own. Inside of a function of a definer Postgres lets nobody change the role, and a function that is
-- not volatile can change no row. What a statement may say at all is looked at before (journeys/language/permitted_sql.py).

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sojourn_segment_sql') THEN
        CREATE ROLE sojourn_segment_sql NOLOGIN NOBYPASSRLS;
    END IF;
    EXECUTE format('GRANT sojourn_segment_sql TO %I', current_user);
END $$;
GRANT USAGE ON SCHEMA public TO sojourn_segment_sql;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['users', 'identities', 'events', 'endpoints', 'consents', 'messages', 'enrollments'] LOOP
        EXECUTE format('GRANT SELECT ON %I TO sojourn_segment_sql', name);
        EXECUTE format($p$CREATE POLICY segment_sql_reads_its_app ON %I FOR SELECT TO sojourn_segment_sql
            USING (app = current_setting('sojourn.app', true))$p$, name);
    END LOOP;
END $$;

CREATE FUNCTION segment_sql(whose text, statement text) RETURNS SETOF bigint LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = public, pg_temp SET "sojourn.app" = '' AS $$
DECLARE
    given text[];
    unknown bigint;
BEGIN
    PERFORM set_config('sojourn.app', whose, true);
    -- textcat takes texts only: internal ids, which are numbers, must not pass for user ids that look like them.
    EXECUTE format('SELECT array_agg(DISTINCT textcat(given.user_id, %L)) FROM (%s) AS given (user_id) WHERE given.user_id IS NOT NULL',
        '', statement) INTO given;
    SELECT count(*) INTO unknown FROM unnest(given) AS each (user_id) WHERE NOT EXISTS (
        SELECT FROM identities i WHERE i.app = whose AND i.kind = 'u' AND i.value = each.user_id);
    IF unknown > 0 THEN
        RAISE EXCEPTION 'no user ids' USING ERRCODE = 'SJ001', DETAIL = unknown::text;
    END IF;
    RETURN QUERY SELECT DISTINCT i.user_id FROM identities i WHERE i.app = whose AND i.kind = 'u' AND i.value = ANY (given);
END $$;
COMMENT ON FUNCTION segment_sql IS 'internal ids of those whose user ids the statement gives; SJ001 when it gives what is no user id of this app';
REVOKE ALL ON FUNCTION segment_sql FROM PUBLIC;
GRANT EXECUTE ON FUNCTION segment_sql TO sojourn_api;
DO $$ BEGIN
    GRANT CREATE ON SCHEMA public TO sojourn_segment_sql;
    ALTER FUNCTION segment_sql OWNER TO sojourn_segment_sql;
    REVOKE CREATE ON SCHEMA public FROM sojourn_segment_sql;
    EXECUTE format('GRANT EXECUTE ON FUNCTION segment_sql TO %I', current_user);
END $$;
