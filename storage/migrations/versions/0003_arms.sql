-- Arms and holdout in SQL, by the very hash of journeys/language/assign.py: golden vectors in the tests hold the two together.

CREATE FUNCTION bucket(app text, journey text, step text, subject text) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    -- 7296 is 2^32 modulo 10,000: the first 8 bytes are one unsigned number, and bigint has no room for it.
    SELECT ((('x' || encode(substr(hash, 1, 4), 'hex'))::bit(32)::bigint * 7296
        + ('x' || encode(substr(hash, 5, 4), 'hex'))::bit(32)::bigint) % 10000)::integer
    FROM (SELECT sha256(
        int4send(octet_length(convert_to(app, 'UTF8'))) || convert_to(app, 'UTF8')
        || int4send(octet_length(convert_to(journey, 'UTF8'))) || convert_to(journey, 'UTF8')
        || int4send(octet_length(convert_to(step, 'UTF8'))) || convert_to(step, 'UTF8')
        || int4send(octet_length(convert_to(subject, 'UTF8'))) || convert_to(subject, 'UTF8')
    ) AS hash OFFSET 0) AS hashed
$$;
COMMENT ON FUNCTION bucket IS '0 to 9999: where a subject (enrollments.subject) falls in a step of a journey; the holdout is the step $holdout';

CREATE FUNCTION arm(bucket integer, names text[], ends integer[]) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT names[1 + width_bucket(bucket, ends)]
$$;
COMMENT ON FUNCTION arm IS 'the arm of a bucket: names in the declared order, ends as assign.ends gives them';
