#!/bin/sh
# Waits until the Job $JOB has ended, and lets the pod start if it has succeeded. Wants kubectl 1.31 or newer.
set -eu
job=job/$JOB
echo "waiting for $job, for $TIMEOUT at most"
kubectl wait --for=create --timeout="$TIMEOUT" "$job"
# Its first condition says how it ends, whichever way: waiting for success alone would sit out the time-out after a failure.
kubectl wait --for='jsonpath={.status.conditions[0].type}' --timeout="$TIMEOUT" "$job"
case $(kubectl get "$job" --output='jsonpath={.status.conditions[0].type}') in
SuccessCriteriaMet | Complete)
	kubectl wait --for=condition=complete --timeout="$TIMEOUT" "$job"
	;;
*)
	echo "$job has failed:" >&2
	kubectl logs "$job" --all-pods=true --tail=50 >&2 || kubectl logs "$job" --tail=50 >&2
	exit 1
	;;
esac
