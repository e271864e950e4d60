-- Files that are imported, or were made by an export. They lie here and not on a disk, because api and workers may be on several machines.

CREATE TABLE files (
    app text NOT NULL REFERENCES apps,
    id uuid NOT NULL,
    name text NOT NULL,
    size_bytes bigint NOT NULL DEFAULT 0,
    lines bigint NOT NULL DEFAULT 0,
    is_whole boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (app, id)
);
COMMENT ON TABLE files IS 'kept for a day: they hold people, and nobody looks into them for one who is erased (erasures remove what no job reads)';
COMMENT ON COLUMN files.is_whole IS 'false: still arriving, or cut off on the way';

CREATE TABLE file_chunks (
    app text NOT NULL,
    file_id uuid NOT NULL,
    n integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (app, file_id, n),
    FOREIGN KEY (app, file_id) REFERENCES files ON DELETE CASCADE
);
COMMENT ON TABLE file_chunks IS 'of what arrives each chunk but the last has the same size, so that a byte is found by division';
ALTER TABLE file_chunks ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE bad_rows (
    app text NOT NULL,
    job_id uuid NOT NULL,
    line bigint NOT NULL,
    field text NOT NULL,
    code text NOT NULL,
    message text NOT NULL,
    PRIMARY KEY (app, job_id, line, field, code),
    FOREIGN KEY (app, job_id) REFERENCES jobs ON DELETE CASCADE
);
COMMENT ON TABLE bad_rows IS 'why a row of a file was not taken; never what stands in it';

CREATE TABLE row_counts (
    app text NOT NULL,
    job_id uuid NOT NULL,
    hash bytea NOT NULL,
    times integer NOT NULL,
    PRIMARY KEY (app, job_id, hash),
    FOREIGN KEY (app, job_id) REFERENCES jobs ON DELETE CASCADE
);
COMMENT ON TABLE row_counts IS 'how often a file has had a row so far that has no id of its own: equal rows are different events, and the same ones next time';
