-- JSON read as numbers, texts and times, exactly as journeys/language reads them: conditions compiled to SQL must agree with it.

CREATE FUNCTION known_zone(zone text) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF zone IS NULL OR zone = 'UTC' THEN
        RETURN 'UTC';
    END IF;
    PERFORM timestamptz '2000-01-01 00:00:00+00' AT TIME ZONE zone;
    RETURN zone;
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN 'UTC';
END $$;
COMMENT ON FUNCTION known_zone IS 'the zone, or UTC for none and for one that is not known';

CREATE FUNCTION within_years(moment timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT greatest(least(moment, timestamptz '9999-12-31 23:59:59.999999+00'), timestamptz '0001-01-01 00:00:00+00')
    WHERE moment IS NOT NULL
$$;
COMMENT ON FUNCTION within_years IS 'times stay within the years 1 to 9999, at their edge if need be';

CREATE FUNCTION wall_within_years(wall timestamp) RETURNS timestamp LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT greatest(least(wall, timestamp '9999-12-31 23:59:59.999999'), timestamp '0001-01-01 00:00:00') WHERE wall IS NOT NULL
$$;

CREATE FUNCTION wall_to_instant(wall timestamp, zone text) RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    found timestamptz := wall AT TIME ZONE zone;
    day_before timestamp := wall - interval '1 day';
    -- With the offset of the day before: the first of the two where the clocks went back.
    earlier timestamptz := (wall - (day_before - (day_before AT TIME ZONE zone AT TIME ZONE 'UTC'))) AT TIME ZONE 'UTC';
BEGIN
    -- PostgreSQL moves a time that does not exist forward, as we do, but takes the second of a time that comes twice.
    IF earlier < found AND earlier AT TIME ZONE zone = wall THEN
        found := earlier;
    END IF;
    RETURN within_years(found);
END $$;
COMMENT ON FUNCTION wall_to_instant IS 'a local time that does not exist moves forward, an ambiguous one is the first';

CREATE FUNCTION time_parts(value jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'string' THEN regexp_match(value #>> '{}',
        '^((?:1[6-9]|[2-9][0-9])[0-9]{2})-([0-9]{2})-([0-9]{2})'
        '(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(?:([Zz])|([+-])(0[0-9]|1[0-4]):?([0-5][0-9]))?)?$') END
$$;
COMMENT ON FUNCTION time_parts IS 'ISO 8601 of the years 1600 to 9999: year, month, day, hour, minute, second, fraction, Z, sign and offset';

CREATE FUNCTION written_wall(parts text[]) RETURNS timestamp LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN parts IS NULL OR parts[2]::int NOT BETWEEN 1 AND 12 OR parts[3]::int < 1 THEN NULL
        WHEN coalesce(parts[4]::int, 0) > 23 OR coalesce(parts[5]::int, 0) > 59 OR coalesce(parts[6]::int, 0) > 59 THEN NULL
        WHEN parts[3]::int > extract(day FROM make_date(parts[1]::int, parts[2]::int, 1) + interval '1 month - 1 day') THEN NULL
        ELSE make_timestamp(parts[1]::int, parts[2]::int, parts[3]::int, coalesce(parts[4]::int, 0), coalesce(parts[5]::int, 0),
                            coalesce(parts[6]::int, 0))
            + coalesce(rpad(left(parts[7], 6), 6, '0')::int, 0) * interval '1 microsecond'
    END
$$;
COMMENT ON FUNCTION written_wall IS 'the time as it is written, without its offset; null when the calendar or the clock has no such time';

CREATE FUNCTION written_offset(parts text[]) RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN parts[8] IS NOT NULL THEN interval '0'
        WHEN parts[9] IS NOT NULL THEN make_interval(hours => parts[10]::int, mins => parts[11]::int) * CASE parts[9] WHEN '-' THEN -1 ELSE 1 END
    END
$$;

CREATE FUNCTION instant_of(value jsonb, zone text) RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    parts text[] := time_parts(value);
    wall timestamp := written_wall(parts);
    shift interval := written_offset(parts);
BEGIN
    RETURN CASE WHEN shift IS NULL THEN wall_to_instant(wall, known_zone(zone)) ELSE within_years((wall - shift) AT TIME ZONE 'UTC') END;
END $$;
COMMENT ON FUNCTION instant_of IS 'a JSON text read as an instant; without an offset it is a time on the wall of that zone; anything else is null';

CREATE FUNCTION wall_of(value jsonb, zone text) RETURNS timestamp LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    parts text[] := time_parts(value);
    wall timestamp := written_wall(parts);
    shift interval := written_offset(parts);
BEGIN
    RETURN CASE
        WHEN shift IS NULL THEN wall
        ELSE wall_within_years(within_years((wall - shift) AT TIME ZONE 'UTC') AT TIME ZONE known_zone(zone))
    END;
END $$;
COMMENT ON FUNCTION wall_of IS 'a JSON text read as the time on the wall of that zone';

CREATE FUNCTION distance_km(latitude float8, longitude float8, other_latitude float8, other_longitude float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT 2 * 6371.0 * asin(sqrt(least(1.0, across * across + cos(radians(latitude)) * cos(radians(other_latitude)) * along * along)))
    FROM (SELECT sin(radians(other_latitude - latitude) / 2) AS across, sin(radians(other_longitude - longitude) / 2) AS along) AS half
$$;
COMMENT ON FUNCTION distance_km IS 'great circle by the haversine formula; degrees are rounded before to 9 digits, so that nothing underflows';

CREATE FUNCTION json_number(value jsonb) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(value) WHEN 'number' THEN value::numeric END
$$;
CREATE FUNCTION json_text(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(value) WHEN 'string' THEN value #>> '{}' END
$$;
CREATE FUNCTION list_has(list jsonb, element jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT EXISTS (
        SELECT FROM jsonb_array_elements(CASE jsonb_typeof(list) WHEN 'array' THEN list ELSE '[]' END) AS each (value) WHERE each.value = element
    )
$$;
COMMENT ON FUNCTION list_has IS 'one of the elements equals the other value; unlike @> it does not look inside them';
