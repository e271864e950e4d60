-- What counting a segment needs: events by name and time over everybody, and times in attributes read quickly.

-- A large installation builds this index beforehand without stopping anybody: CREATE INDEX CONCURRENTLY with the same columns on each
-- partition of events; those are taken over here.
CREATE INDEX events_named ON events (app, name, occurred_at, user_id);
COMMENT ON INDEX events_named IS 'who did what since when, of everybody, without reading the events themselves; events_user answers for one person';

CREATE OR REPLACE FUNCTION instant_of(value jsonb, zone text) RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    parts text[];
    wall timestamp;
    shift interval;
BEGIN
    -- As programs write it, in UTC, and on a day that every year has: Postgres reads it just so. All else is read part by part.
    IF value #>> '{}' ~ '^(1[6-9]|[2-9][0-9])[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z$'
    THEN
        RETURN CAST(value #>> '{}' AS timestamptz);
    END IF;
    parts := time_parts(value);
    IF parts IS NULL THEN
        RETURN NULL;
    END IF;
    wall := written_wall(parts);
    shift := written_offset(parts);
    RETURN CASE WHEN shift IS NULL THEN wall_to_instant(wall, known_zone(zone)) ELSE within_years((wall - shift) AT TIME ZONE 'UTC') END;
END $$;
