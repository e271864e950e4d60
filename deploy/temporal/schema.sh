#!/bin/sh
# Makes Temporal's two databases and brings their schemas to the version of this image. Safe to repeat; run it before a newer server starts.
set -eu

for store in temporal visibility; do
    database=$([ "$store" = temporal ] && echo temporal || echo temporal_visibility)
    temporal-sql-tool --db "$database" create
    temporal-sql-tool --db "$database" setup-schema --version 0.0
    temporal-sql-tool --db "$database" update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/$store/versioned"
done
