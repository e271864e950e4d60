-- Which version of each template a run is made from, so that nobody of it reads other words than the others.

ALTER TABLE campaign_runs ADD COLUMN template_versions jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN campaign_runs.template_versions IS 'template -> the version that was live when the run was planned; empty of a run that an older release planned';
