-- At which hours of their day the people of an app read.

CREATE TABLE reading_hours (
    app text PRIMARY KEY REFERENCES apps,
    hours double precision[] NOT NULL CHECK (cardinality(hours) = 24),
    counted_until timestamptz NOT NULL
);
COMMENT ON TABLE reading_hours IS 'how many openings and clicks of people fell into each hour on their wall, halved every 30 days: what best_time goes by where a person has read too little';
