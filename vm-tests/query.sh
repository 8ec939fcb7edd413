#!/bin/sh
# Asks the server on this machine, with the administrator's identity: query.sh EXPRESSION
set -eu
cd /var/lib/metricstor/pki
exec curl -sSf --cacert ca.crt --cert admin.crt --key admin.key \
  --data-urlencode "query=$1" https://localhost:9101/api/v1/query
