#!/bin/sh
# Drops databases of the developer's environment and creates them anew: `bbmd dev reset`, with the flags of the script
# of this name that the services had.
set -eu

usage() {
	cat <<'END'
Usage: scripts/dev-reset-database.sh --service NAME [--service NAME]... [--yes]
       scripts/dev-reset-database.sh --all [--yes]

  -s, --service NAME     the service whose database is reset; again and again
  -a, --all              the databases of all services
  -y, --yes              do not ask
  -n, --namespace NAME   accepted, and of no meaning: there is no cluster
  -h, --help             this

The environment has to be up: scripts/dev-workflow.sh start. BBMD names the program, bbmd by default.
END
}

die() {
	echo "dev-reset-database.sh: $1" >&2
	exit 2
}

# arguments are those of bbmd, one on each line: names of services have no line ends.
arguments='' chosen=''
add() {
	arguments="$arguments$1
"
}

while [ $# -gt 0 ]; do
	case $1 in
	-s | --service | -n | --namespace) [ $# -ge 2 ] || die "$1 wants a name" ;;
	esac
	case $1 in
	-s | --service) add "--database=$2" && chosen=yes && shift ;;
	--service=*) add "--database=${1#*=}" && chosen=yes ;;
	-a | --all) add --all && chosen=yes ;;
	-y | --yes) add --yes ;;
	-n | --namespace) shift ;;
	--namespace=*) ;;
	-h | --help) usage && exit 0 ;;
	*) usage >&2 && die "$1 is not known here" ;;
	esac
	shift
done
[ -n "$chosen" ] || { usage >&2 && die "say which: --service NAME, or --all"; }

program=${BBMD:-bbmd}
if [ -z "${BBMD:-}" ] && ! command -v bbmd >/dev/null; then
	program=$(dirname "$0")/../bin/bbmd # where make build has put it
fi
IFS='
'
set -f
# shellcheck disable=SC2086 # one argument on each line
exec "$program" dev reset $arguments
