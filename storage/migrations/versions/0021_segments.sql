-- Segments: who they are of. Dynamic ones have a condition, in versions; static ones have a list of people.

CREATE TABLE segments (
    app text NOT NULL REFERENCES apps,
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('dynamic', 'static')),
    live_version integer CHECK ((live_version IS NULL) = (kind = 'static')),
    frozen_from text,
    frozen_version integer,
    frozen_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, name)
);
COMMENT ON COLUMN segments.live_version IS 'what is asked now; null: a list of people has no versions';
COMMENT ON COLUMN segments.frozen_from IS 'the segment whose people were put on this list, in which version and as of which moment';

CREATE TABLE segment_versions (
    app text NOT NULL,
    segment text NOT NULL,
    version integer NOT NULL,
    hash text NOT NULL,
    condition text NOT NULL,
    event_names text[] NOT NULL,
    attribute_paths text[] NOT NULL,
    segment_names text[] NOT NULL,
    also_reads text[] NOT NULL,
    moves_with_time boolean NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, segment, version),
    UNIQUE (app, segment, hash),
    FOREIGN KEY (app, segment) REFERENCES segments ON DELETE CASCADE
);
COMMENT ON COLUMN segment_versions.condition IS 'canonical JSON as text: jsonb would reorder what the hash is over';
COMMENT ON COLUMN segment_versions.event_names IS 'what the condition mentions itself; what the segments in segment_names mention is theirs';
COMMENT ON COLUMN segment_versions.also_reads IS 'what else it looks at: endpoints, consents, messages, sql';
COMMENT ON COLUMN segment_versions.moves_with_time IS 'people may come in or go out though nothing happens';

CREATE TABLE listed_people (
    app text NOT NULL,
    segment text NOT NULL,
    user_id bigint NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, segment, user_id),
    FOREIGN KEY (app, segment) REFERENCES segments ON DELETE CASCADE,
    FOREIGN KEY (app, user_id) REFERENCES users
);
COMMENT ON TABLE listed_people IS 'who is on the list of a static segment; joining two people moves it to the survivor';
CREATE INDEX listed_people_user ON listed_people (app, user_id);
