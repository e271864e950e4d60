#!/bin/sh
# Makes the namespace and the three search attributes that Sojourn's workflows carry. Safe to repeat.
set -eu

until temporal operator cluster health; do sleep 2; done
temporal operator namespace describe --namespace default >/dev/null 2>&1 ||
    temporal operator namespace create --namespace default --retention 72h
# Naming an attribute that is there already with the same type is no error.
temporal operator search-attribute create --namespace default \
    --name SojournApp --type Keyword --name SojournJourney --type Keyword --name SojournUser --type Keyword
